import FileTimes
import Glibc
import Synchronization

// What a node must not forget of another site lies in sites/<site>/, beside the spool for it: a small file for each mark.
// A mark is there or not; its text is the second since 1970 in which it was set, and never changes.
//
// | file            | what it says                                                                        |
// |-----------------|-------------------------------------------------------------------------------------|
// | paused          | nothing is carried to the site until an operator says so                            |
// | needs-sync      | something was left out of the site's spool, because that was full                   |
// | syncing-<token> | the same of what was left out before a comparison of that name began; the name of a |
// |                 | later one is greater                                                                |
//
// | done                     | on disk after a crash     | why that is safe                                             |
// |--------------------------|---------------------------|--------------------------------------------------------------|
// | file in the root, synced | a file with a dot's name  | it says nothing; it is removed with other leftovers          |
// | linked to its name       | the mark, or not          | nobody was told that it is set                               |
// | sites/<site>/ synced     | the mark                  | it is set                                                    |
// | unlinked                 | the mark, or not          | nobody was told that it is not set any more                  |
// | sites/<site>/ synced     | no mark                   | it is not set                                                |
//
// A comparison that begins sets its own mark, then takes needs-sync away, then the marks of those before it: what they were to
// find, it finds. One that is over takes its own away. Broken off anywhere, a mark is left, and says that the site needs it.

/// The marks of one site in a store.
struct SiteMarks {
    let site: SpoolTarget
    let core: StoreCore

    struct Mark {
        /// Of its file.
        let name: String

        static let paused = Mark(name: "paused")
        static let needsSync = Mark(name: "needs-sync")
        static func syncing(_ token: String) -> Mark { Mark(name: syncingPrefix + token) }

        static let syncingPrefix = "syncing-"
    }

    static let top = "sites"
    private static let bytesMax = 64

    private var folder: String { "\(Self.top)/\(site.name)" }

    /// Durably. One that is set already keeps its time.
    func set(_ mark: Mark, at seconds: Int64 = FileTime.now().seconds) throws(MaildirError) {
        try core.root.withDirectory { root throws(MaildirError) in
            let directory = try core.folders.makePlain(MailboxFolder(path: folder), in: root)
            let temporary = "\(StoreLeftovers.mark)\(getpid()).\(UInt64.random(in: .min ... .max))"
            let file = try OpenFile.open(
                temporary, in: root.descriptor, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            defer { unlinkat(root.descriptor, temporary, 0) }
            try file.write(Array("\(seconds)\n".utf8), name: temporary)
            try file.sync(temporary)
            _ = try ExclusiveLink.make(
                file, at: temporary, in: root, as: mark.name, in: directory,
                fault: core.options.faults?.decide(.link, "\(folder)/\(mark.name)"))
            try sync(directory)
        }
    }

    /// Makes sure that the mark is set, durably; where this process knows that, at the cost of looking.
    func keep(_ mark: Mark) throws(MaildirError) {
        let path = "\(folder)/\(mark.name)"
        if let stamp = stamp(of: path), core.marks.isDurable(path, stamp) { return }
        try set(mark)
        if let stamp = stamp(of: path) { core.marks.note(path, stamp) }
    }

    private func stamp(of path: String) -> DurableMarks.Stamp? {
        var status = stat()
        guard fstatat(core.root.directory.descriptor, path, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return nil }
        return DurableMarks.Stamp(inode: UInt64(status.st_ino), changed: FileTime(status.st_ctim))
    }

    /// Durably. One that is not set stays so.
    func clear(_ mark: Mark) throws(MaildirError) {
        try core.root.withDirectory { root throws(MaildirError) in
            guard let directory = try MailboxFolder(path: folder).openIfThere(in: root) else { return }
            let number = core.unlink(Array(mark.name.utf8), in: directory)
            guard number == 0 || number == ENOENT else {
                throw .failed(operation: "unlink", path: "\(folder)/\(mark.name)", errno: number)
            }
            try sync(directory)
        }
    }

    // MARK: - comparing

    /// Since when something may be missing at the site; nil if nothing is.
    func needsSync() throws(MaildirError) -> Int64? {
        var first: Int64?
        for mark in [.needsSync] + (try begun()) {
            guard let time = try time(of: mark) else { continue }
            first = min(first ?? time, time)
        }
        return first
    }

    /// What is left out from now on is marked anew.
    func beginSync(_ token: String) throws(MaildirError) {
        guard let since = try needsSync() else { return }
        let own = Mark.syncing(token)
        try set(own, at: since)
        try clear(.needsSync)
        for mark in try begun() where mark.name < own.name { try clear(mark) }
    }

    /// All that was left out before it began is at the site now, or waits for it.
    func endSync(_ token: String) throws(MaildirError) { try clear(.syncing(token)) }

    /// The marks of comparisons that are not over.
    private func begun() throws(MaildirError) -> [Mark] {
        try core.root.withDirectory { root throws(MaildirError) in
            guard let directory = try MailboxFolder(path: folder).openIfThere(in: root) else { return [] }
            var marks: [Mark] = []
            let listing = try core.directory(".", in: directory)
            while let entry = try listing?.next() {
                guard let name = String(validating: entry.name, as: UTF8.self) else { continue }
                if name.hasPrefix(Mark.syncingPrefix) { marks.append(Mark(name: name)) }
            }
            return marks
        }
    }

    // MARK: - one mark

    private func sync(_ directory: OpenFile) throws(MaildirError) {
        try core.options.faults?.check(.syncDirectory, folder)
        try directory.sync(folder)
    }

    /// When the mark was set, in seconds since 1970; nil if it is not. A file that tells no time was set when it was written.
    func time(of mark: Mark) throws(MaildirError) -> Int64? {
        try core.root.withDirectory { root throws(MaildirError) in
            guard let directory = try MailboxFolder(path: folder).openIfThere(in: root),
                let file = try core.message(Array(mark.name.utf8), in: directory)
            else { return nil }
            let text = try? file.contents(bytesMax: Self.bytesMax, name: mark.name)
            let line = text.map { String(decoding: $0, as: UTF8.self).prefix { $0 != "\n" } }
            if let seconds = line.flatMap({ Int64($0) }) { return seconds }
            return FileTime(try file.status().st_mtim).seconds
        }
    }
}

/// The marks that this process has made durable, or seen so.
final class DurableMarks: Sendable {
    /// What a mark's file has as long as nobody makes it anew.
    struct Stamp: Hashable, Sendable {
        let inode: UInt64
        let changed: FileTime
    }

    private let known = Mutex<[String: Stamp]>([:])

    func isDurable(_ path: String, _ stamp: Stamp) -> Bool { known.withLock { $0[path] == stamp } }
    func note(_ path: String, _ stamp: Stamp) { known.withLock { $0[path] = stamp } }
}
