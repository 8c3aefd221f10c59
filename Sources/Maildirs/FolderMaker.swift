import FileTimes
import Glibc
import Synchronization

/// Makes mailbox folders, and proves that the way from the root to a mailbox survives a power cut.
///
/// A folder that another process made a moment ago may not be durable yet, though it is there. So whoever acknowledges a
/// message has synced each directory on the way itself, once; what was proven is remembered.
final class FolderMaker: Sendable {
    private let proven = Mutex<Set<UInt64>>([])

    private static let provenMax = 200_000
    /// How often something is tried in folders that are removed meanwhile because they are empty.
    static let attemptsMax = 8

    /// Does `work` again while it fails because a folder is gone, a few times at most; it is told whether it is the first time.
    static func retrying<Value>(
        _ work: (_ isFirst: Bool) throws(MaildirError) -> Value
    ) throws(MaildirError) -> Value {
        for attempt in 1..<attemptsMax {
            do throws(MaildirError) {
                return try work(attempt == 1)
            } catch {
                guard error.isFolderGone else { throw error }
            }
        }
        return try work(false)
    }

    /// Opens the mailbox's folder, and makes what is missing.
    ///
    /// - Parameter isKnown: whether it is believed that nothing is missing where that was proven and no time tells otherwise.
    func open(_ folder: MailboxFolder, in root: OpenFile, isKnown: Bool = true) throws(MaildirError) -> OpenFile {
        if isKnown, let known = try folder.openIfThere(in: root), isProven(try Self.key(of: folder, known)) {
            return known
        }
        return try Self.retrying { _ throws(MaildirError) in try make(folder, in: root) }
    }

    private func make(_ folder: MailboxFolder, in root: OpenFile) throws(MaildirError) -> OpenFile {
        let directory = try way(to: folder, in: root)
        var isNew = false
        for part in MailboxFolder.parts where try Self.made(part, in: directory) { isNew = true }
        let key = try Self.key(of: folder, directory)
        if isNew { _ = proven.withLock { $0.remove(key) } }
        try prove(directory, key, folder.path)
        return directory
    }

    /// The folder itself, without its parts. Each directory on the way to it is synced.
    func way(to folder: MailboxFolder, in root: OpenFile) throws(MaildirError) -> OpenFile {
        var directory = root
        for component in folder.path.split(separator: "/") {
            directory = try child(String(component), of: directory)
        }
        return directory
    }

    private func isProven(_ key: UInt64) -> Bool { proven.withLock { $0.contains(key) } }

    private func child(_ name: String, of parent: OpenFile) throws(MaildirError) -> OpenFile {
        let isNew = try Self.made(name, in: parent)
        let child = try OpenFile.openDirectory(name, in: parent.descriptor)
        let key = try Self.key(of: child, in: parent)
        if isNew { _ = proven.withLock { $0.remove(key) } }
        try prove(parent, key, name)
        return child
    }

    private func prove(_ directory: OpenFile, _ key: UInt64, _ name: String) throws(MaildirError) {
        if isProven(key) { return }
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

    /// A mailbox whose way and parts are proven: told by its path, inode, and times, which change when a part is made in it.
    private static func key(of folder: MailboxFolder, _ mailbox: OpenFile) throws(MaildirError) -> UInt64 {
        let status = try mailbox.status()
        var hasher = Hasher()
        hasher.combine(folder)
        hasher.combine(status.st_dev)
        hasher.combine(status.st_ino)
        hasher.combine(FileTime(status.st_mtim))
        hasher.combine(FileTime(status.st_ctim))
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    /// One entry on the way: told by the two inodes, and the child's time, because a folder that was removed and made again
    /// often gets the same inode.
    private static func key(of child: OpenFile, in parent: OpenFile) throws(MaildirError) -> UInt64 {
        let (child, parent) = (try child.status(), try parent.status())
        var hasher = Hasher()
        hasher.combine(parent.st_ino)
        hasher.combine(child.st_ino)
        hasher.combine(child.st_dev)
        hasher.combine(FileTime(child.st_ctim))
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
