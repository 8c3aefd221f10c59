import FileTimes
import Glibc

/// Any Maildir, used as a spool or a mailbox by a small program that blocks: nothing of a store is needed around it.
///
/// Names are paths below it (`new/1700000000.M1P2.host`), as octets: other tools may have made them.
package final class Maildir: Sendable {
    /// A file that may be a message, as a scan found it.
    package struct Entry: Hashable, Sendable {
        package let name: [UInt8]
        /// When it was last changed, in seconds since 1970.
        package let modified: Int64
    }

    /// How long what a crash left in `tmp/` stays there.
    package static let tmpAge = Duration.seconds(36 * 3600)

    package let path: String
    let directory: OpenFile
    let names = UniqueNames()

    /// Opens it; the path itself may be a symbolic link.
    package init(_ path: String) throws(MaildirError) {
        self.path = path
        directory = try withPath(Array("\(path)/.".utf8)) { path throws(MaildirError) in
            try OpenFile.openDirectory(path, in: AT_FDCWD)
        }
    }

    /// Makes a new one, for its owner alone, which survives a power cut. One that is there already is an error (EEXIST).
    package static func make(_ path: String) throws(MaildirError) {
        guard mkdir(path, 0o700) == 0 else { throw .failed("mkdir", path) }
        let made = try Maildir(path)
        for part in ["tmp", "new", "cur"] {
            guard mkdirat(made.directory.descriptor, part, 0o700) == 0 else {
                throw .failed("mkdir", "\(path)/\(part)")
            }
        }
        try made.directory.sync(path)
        try OpenFile.openDirectory("..", in: made.directory.descriptor).sync("\(path)/..")
    }

    /// Removes files in `tmp/` that nobody touched for 36 hours.
    package func removeStaleTmp() throws(MaildirError) {
        let limit = FileTime.now().minus(Self.tmpAge)
        let tmp = try OpenDirectory("tmp", in: directory)
        while let entry = try tmp.next() {
            _ = try TmpCleaner.removeIfOld(entry, tmp.descriptor, limit)
        }
    }

    /// The messages in `new/` and `cur/`, oldest first. Those of this second are left for the next scan: one that is
    /// written there now would go before those that came first.
    package func scan() throws(MaildirError) -> [Entry] {
        let now = FileTime.now().seconds
        var found: [(stamp: FileTime, name: [UInt8])] = []
        for part in ["new", "cur"] {
            let folder = try OpenDirectory(part, in: directory)
            while let entry = try folder.next() {
                guard entry.mayBeFile, entry.name.first != UInt8(ascii: ".") else { continue }
                let name = Array("\(part)/".utf8) + entry.name
                guard let status = try? status(name), status.st_mode & S_IFMT != S_IFDIR else { continue }
                let stamp = FileTime(status.st_mtim)
                if stamp.seconds < now { found.append((stamp, name)) }
            }
        }
        found.sort { $0.stamp == $1.stamp ? $0.name.lexicographicallyPrecedes($1.name) : $0.stamp < $1.stamp }
        return found.map { Entry(name: $0.name, modified: $0.stamp.seconds) }
    }

    /// When the file was last changed, in seconds since 1970.
    package func modified(_ name: [UInt8]) throws(MaildirError) -> Int64 {
        FileTime(try status(name).st_mtim).seconds
    }

    private func status(_ name: [UInt8]) throws(MaildirError) -> stat {
        try withPath(name) { path throws(MaildirError) in
            var status = stat()
            guard fstatat(directory.descriptor, path, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw .failed("stat", path)
            }
            return status
        }
    }

    package func open(_ name: [UInt8]) throws(MaildirError) -> SpoolMessage {
        try SpoolMessage(name, in: directory)
    }

    package func remove(_ name: [UInt8]) throws(MaildirError) {
        try withPath(name) { path throws(MaildirError) in
            guard unlinkat(directory.descriptor, path, 0) == 0 else { throw .failed("unlink", path) }
        }
    }

    /// Begins to write a message into `tmp/`.
    package func deliver() throws(MaildirError) -> MaildirDelivery { try MaildirDelivery(self) }

    /// The file names in `new/` and `cur/`, up to the first colon: without flags.
    package func fileNames() throws(MaildirError) -> Set<String> {
        var found: Set<String> = []
        for part in ["new", "cur"] {
            let folder = try OpenDirectory(part, in: directory)
            while let entry = try folder.next() {
                let name = entry.name.prefix { $0 != UInt8(ascii: ":") }
                if name.first != UInt8(ascii: ".") { found.insert(String(decoding: name, as: UTF8.self)) }
            }
        }
        return found
    }
}
