import FileTimes
import Glibc

/// A message file that is open, with LF line ends, and its envelope.
package final class SpoolMessage: Sendable {
    /// Nil if its first lines are none.
    package let envelope: SpoolEnvelope?
    /// Octets of the file.
    package let size: Int
    /// When it was last changed, in seconds since 1970.
    package let modified: Int64
    private let file: OpenFile
    private let name: String

    package static let pieceBytesMax = 64 << 10

    /// Opens a file by a path from the working directory, or below `directory`.
    package convenience init(_ path: [UInt8], below directory: String = ".") throws(MaildirError) {
        let directory = path.first == UInt8(ascii: "/") ? [] : Array("\(directory)/".utf8)
        try self.init(directory + path, in: nil)
    }

    init(_ path: [UInt8], in directory: OpenFile?) throws(MaildirError) {
        name = String(decoding: path, as: UTF8.self)
        file = try withPath(path) { path throws(MaildirError) in
            try OpenFile.open(path, in: directory?.descriptor ?? AT_FDCWD)
        }
        let status = try file.status()
        guard status.st_mode & S_IFMT == S_IFREG else { throw .failed(operation: "read", path: name, errno: EINVAL) }
        size = Int(status.st_size)
        modified = FileTime(status.st_mtim).seconds
        envelope = SpoolEnvelope(try Self.read(file, at: 0, count: 2 * SpoolEnvelope.lineBytesMax, name))
    }

    /// Where the text begins: behind the envelope.
    package var textStart: Int { envelope?.byteCount ?? 0 }

    /// The bytes from `offset` on, up to `pieceBytesMax`; none at the end.
    package func piece(at offset: Int) throws(MaildirError) -> [UInt8] {
        try Self.read(file, at: offset, count: Self.pieceBytesMax, name)
    }

    private static func read(
        _ file: OpenFile, at offset: Int, count: Int, _ name: String
    ) throws(MaildirError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let done = try bytes.withUnsafeMutableBufferPointer { bytes throws(MaildirError) in
            try file.read(into: UnsafeMutableRawBufferPointer(bytes), at: offset, name: name)
        }
        bytes.removeLast(count - done)
        return bytes
    }
}
