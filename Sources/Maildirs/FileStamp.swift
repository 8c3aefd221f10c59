import FileTimes
import Glibc

/// What tells that a file is the one that was measured: a foreign tool may still be writing it, or put another in its place.
struct FileStamp: Hashable, Sendable {
    let inode: UInt64
    let size: Int64
    let modified: FileTime

    init(_ status: stat) {
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        modified = FileTime(status.st_mtim)
    }
}

/// A message of a snapshot whose name does not tell its size, as it was measured.
struct MeasuredFile: Sendable {
    /// Its place in the snapshot.
    let index: Int
    let stamp: FileStamp
    /// It was changed not long before, so that it may change again without a trace in its directory.
    let isYoung: Bool

    /// What nobody touched for a day is not being written any more.
    static let youth = Duration.seconds(86_400)

    /// Whether the file is still as it was. Over a network it is opened, so that the server is asked.
    func isUnchanged(_ path: [UInt8], in mailbox: OpenFile, isRemote: Bool) -> Bool {
        let now = try? withPath(path) { path throws(MaildirError) -> stat in
            if isRemote { return try OpenFile.open(path, in: mailbox.descriptor).status() }
            var status = stat()
            guard fstatat(mailbox.descriptor, path, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw .failed("stat", path)
            }
            return status
        }
        return now.map { FileStamp($0) == stamp } ?? false
    }
}
