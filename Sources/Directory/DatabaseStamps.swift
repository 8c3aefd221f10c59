import FileTimes
import Glibc

/// What tells that a database did not change: the stamps of its file and of its write-ahead log. Every commit writes to one
/// of them before anybody can read what it brought.
struct DatabaseStamps: Equatable, Sendable {
    private let file: ChangeStamp
    /// Nil while there is none.
    private let log: ChangeStamp?

    /// Ten milliseconds and a tick of the slowest kernel clock.
    private static let clockMargin = Duration.milliseconds(20)

    /// Nil where they prove nothing: the file is not there, is not on this host, or has changed just now.
    init?(path: String) {
        let now = FileTime.coarse()
        guard let file = Self.stamp(path), !file.isRemote, file.isSettled(at: now, margin: Self.clockMargin) else {
            return nil
        }
        let log = Self.stamp(path + "-wal")
        guard log?.isSettled(at: now, margin: Self.clockMargin) ?? true else { return nil }
        self.file = file
        self.log = log
    }

    private static func stamp(_ path: String) -> ChangeStamp? {
        var status = stat()
        return stat(path, &status) == 0 ? ChangeStamp(status) : nil
    }
}
