package import Glibc

/// What tells that a file or a directory did not change: which one it is, its size and its times.
package struct ChangeStamp: Hashable, Sendable {
    private let device: UInt64
    private let inode: UInt64
    private let size: Int64
    private let modified: FileTime
    private let changed: FileTime

    private static let wholeSecondsMargin = Duration.seconds(2)

    package init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        modified = FileTime(status.st_mtim)
        changed = FileTime(status.st_ctim)
    }

    /// A file system without a block device may be another host's, with another clock: of it `isSettled` tells nothing.
    package var isRemote: Bool { (device >> 8) & 0xFFF == 0 }

    /// Whether a change that comes after `coarse` must show: the last one is older than that by more than `margin`, which
    /// is the granularity of the file system's clock, or by two seconds where only whole ones seem to be written down.
    package func isSettled(at coarse: FileTime, margin: Duration) -> Bool {
        let isWhole = modified.nanoseconds == 0 && changed.nanoseconds == 0
        let limit = coarse.minus(isWhole ? max(margin, Self.wholeSecondsMargin) : margin)
        return modified < limit && changed < limit
    }

    /// Whether it is the same file or directory, changed or not.
    package func isSameFile(as other: ChangeStamp) -> Bool { device == other.device && inode == other.inode }
}
