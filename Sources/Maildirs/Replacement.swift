import Glibc
import Mail

// A good copy takes a damaged one's place in this order:
//
// | done                                     | on disk after a crash             | why that is safe                          |
// |------------------------------------------|-----------------------------------|-------------------------------------------|
// | good copy in tmp/, compared, synced      | the damaged one, a tmp/ file      | as before; cleanTmp removes the file      |
// | damaged one linked into quarantine, too; | the damaged one under two names   | as before; the next time finds the link   |
// | quarantine synced                        |                                   |                                           |
// | good one renamed over the damaged name   | either of them under the name,    | there is never a moment without the name, |
// |                                          | the damaged one in quarantine     | and no name of the good one is lost       |
// | new/ or cur/ synced                      | the good one                      | it is done                                |
//
// Somebody may delete or move the message meanwhile. Deleted: the tombstone hides what is linked after it, and the next
// listing removes it. Moved after it was looked at: the damaged file then has two names of one message again, of which
// listings show one; the next scrub finds it.

/// Puts a good copy of a message in a damaged one's place, and the damaged one into quarantine.
struct Replacement {
    let core: StoreCore
    let snapshot: MaildropSnapshot
    let index: Int
    /// The good copy, whole, in `tmp/`.
    let spill: Spill

    /// Where damaged files are put, below the root, in the layout of `mail/`.
    static let quarantine = "quarantine"

    private static let namesMax = 1_000

    func run() throws(MaildirError) -> ReplacementOutcome {
        guard let promise = snapshot.promise(at: index) else { return .different }
        guard try isWhole(promise) else { return .different }
        try core.options.faults?.check(.syncFile, spill.name)
        try spill.file.sync(spill.name)
        return try core.root.withDirectory { root throws(MaildirError) in
            guard let mailbox = try snapshot.folder.openIfThere(in: root), let path = try path(in: mailbox) else {
                return .gone
            }
            let name = try putAside(path, mailbox, root)
            guard let name else { return .gone }
            let part = String(decoding: path.prefix(3), as: UTF8.self)
            try replace(path, part, in: mailbox)
            return .replaced(quarantine: name)
        }
    }

    /// Whether what came is what the damaged file's name promises, as it lies on disk.
    private func isWhole(_ promise: CopyPromise) throws(MaildirError) -> Bool {
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { piece.deallocate() }
        var check = CopyCheck(promise)
        var offset = 0
        while case let count = try spill.file.read(into: piece, at: offset, name: spill.name), count > 0 {
            check.add(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(piece)[..<count]))
            offset += count
        }
        return check.damage == nil
    }

    /// Where the damaged file is now; nil if it is not there any more.
    private func path(in mailbox: OpenFile) throws(MaildirError) -> [UInt8]? {
        let known = snapshot.path(at: index)
        if try Self.status(of: known, in: mailbox) != nil { return known }
        let identity = snapshot.identity(at: index)
        return try MailboxScan(mailbox: mailbox, core: core).paths(of: [identity])[identity]
    }

    /// Links the damaged file into quarantine under its own name, or under that and a number: nothing there is overwritten.
    /// The path below the root; nil if the file is gone.
    private func putAside(_ path: [UInt8], _ mailbox: OpenFile, _ root: OpenFile) throws(MaildirError) -> String? {
        guard let damaged = try Self.status(of: path, in: mailbox) else { return nil }
        let folder = MailboxFolder(snapshot.mailbox, partition: snapshot.partition, below: Self.quarantine)
        let directory = try core.folders.makePlain(folder, in: root)
        for number in 0..<Self.namesMax {
            let name = Array(path.dropFirst(4)) + Array((number == 0 ? "" : ".\(number)").utf8)
            switch try link(path, mailbox, name, directory, damaged) {
            case .made:
                try directory.sync(folder.path)
                return "\(folder.path)/\(String(decoding: name, as: UTF8.self))"
            case .taken: continue
            case .gone: return nil
            }
        }
        throw .failed(operation: "put aside in", path: folder.path, errno: EEXIST)
    }

    private enum Link { case made, taken, gone }

    private func link(
        _ path: [UInt8], _ mailbox: OpenFile, _ name: [UInt8], _ directory: OpenFile, _ damaged: stat
    ) throws(MaildirError) -> Link {
        try withPath(path) { from throws(MaildirError) in
            try withPath(name) { to throws(MaildirError) in
                if linkat(mailbox.descriptor, from, directory.descriptor, to, 0) == 0 { return .made }
                let error = MaildirError.failed("link", to)
                // Made before a crash, or by a request that a network file system did the first time.
                if let found = try Self.status(of: name, in: directory) {
                    return found.st_dev == damaged.st_dev && found.st_ino == damaged.st_ino ? .made : .taken
                }
                if error.errorNumber == ENOENT { return .gone }
                throw error
            }
        }
    }

    private func replace(_ path: [UInt8], _ part: String, in mailbox: OpenFile) throws(MaildirError) {
        try withPath(path) { to throws(MaildirError) in
            guard renameat(spill.home.tmp.descriptor, spill.name, mailbox.descriptor, to) == 0 else {
                throw .failed("rename", to)
            }
        }
        spill.giveUpName()
        try OpenFile.openDirectory(part, in: mailbox.descriptor).sync(part)
    }

    private static func status(of path: [UInt8], in directory: OpenFile) throws(MaildirError) -> stat? {
        try withPath(path) { path throws(MaildirError) -> stat? in
            var status = stat()
            if fstatat(directory.descriptor, path, &status, AT_SYMLINK_NOFOLLOW) == 0 { return status }
            if errno == ENOENT { return nil }
            throw .failed("stat", path)
        }
    }
}

/// What became of a damaged copy.
package enum ReplacementOutcome: Hashable, Sendable {
    /// A good one is in its place; where it is now, below the root.
    case replaced(quarantine: String)
    /// What was brought is not what the damaged file's name promises; nothing was changed.
    case different
    /// The damaged file is not there any more; nothing was changed.
    case gone
}
