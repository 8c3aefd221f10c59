import FileTimes
import Glibc

/// The stamp in a store's root that says when the store was last in service. A store that was away for longer than
/// tombstones are kept may hold messages whose deletion nobody remembers any more.
struct Heartbeat {
    let root: OpenFile

    static let fileName = ".hauberk-heartbeat"

    /// Says that the store is in service now. Its time is the file system's, so that hosts' clocks do not matter.
    func beat() throws(MaildirError) {
        let file = try OpenFile.open(Self.fileName, in: root.descriptor, flags: O_WRONLY | O_CREAT, mode: 0o600)
        // One byte written: times that a host sets itself would be its own clock's.
        try file.write([UInt8(ascii: "\n")], name: Self.fileName)
        try file.sync(Self.fileName)
    }

    /// How long ago the store was last in service; nil if it never was.
    ///
    /// - Parameter now: the file system's time.
    func age(at now: FileTime) throws(MaildirError) -> Duration? {
        let stamp = try ifThere { () throws(MaildirError) in
            try OpenFile.open(Self.fileName, in: root.descriptor).status().st_mtim
        }
        return stamp.map { .seconds(now.seconds - FileTime($0).seconds) }
    }
}
