import Glibc
import Synchronization

/// Makes mailbox folders, and proves that the way from the root to a mailbox survives a power cut.
///
/// A folder that another process made a moment ago may not be durable yet, though it is there. So whoever acknowledges a
/// message has synced each directory on the way itself, once; what was proven is remembered.
final class FolderMaker: Sendable {
    private let proven = Mutex<Set<UInt64>>([])

    private static let provenMax = 200_000

    /// Opens the mailbox's folder, and makes what is missing.
    func open(_ folder: MailboxFolder, in root: OpenFile) throws(MaildirError) -> OpenFile {
        var directory = root
        for component in folder.path.split(separator: "/") {
            directory = try child(String(component), of: directory)
        }
        for part in MailboxFolder.parts { _ = try Self.made(part, in: directory) }
        try prove(directory, try Self.key(directory, try directory.status(), withTime: true), folder.path)
        return directory
    }

    private func child(_ name: String, of parent: OpenFile) throws(MaildirError) -> OpenFile {
        let isNew = try Self.made(name, in: parent)
        let child = try OpenFile.openDirectory(name, in: parent.descriptor)
        let key = try Self.key(parent, try child.status(), withTime: false)
        if isNew { _ = proven.withLock { $0.remove(key) } }
        try prove(parent, key, name)
        return child
    }

    private func prove(_ directory: OpenFile, _ key: UInt64, _ name: String) throws(MaildirError) {
        if proven.withLock({ $0.contains(key) }) { return }
        try directory.sync(name)
        proven.withLock { keys in
            if keys.count >= Self.provenMax { keys.removeAll(keepingCapacity: true) }
            keys.insert(key)
        }
    }

    /// Whether the directory was made now. The umask does not decide its mode.
    private static func made(_ name: String, in parent: OpenFile) throws(MaildirError) -> Bool {
        if mkdirat(parent.descriptor, name, 0o700) != 0 {
            if errno == EEXIST { return false }
            throw .failed("mkdir", name)
        }
        var status = stat()
        if fstatat(parent.descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & 0o7777 != 0o700 {
            guard fchmodat(parent.descriptor, name, 0o700, 0) == 0 else { throw .failed("chmod", name) }
        }
        return true
    }

    /// An entry is told by its two inodes; a mailbox's folder also by its time, which changes when a part is made in it.
    private static func key(_ parent: OpenFile, _ child: stat, withTime: Bool) throws(MaildirError) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(try parent.status().st_ino)
        hasher.combine(child.st_ino)
        hasher.combine(child.st_dev)
        if withTime { hasher.combine(FileTime(child.st_mtim)) }
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
