import Glibc

/// The envelope of a message that waits in a Maildir, as qmail-local writes it: `Return-Path: <sender>` in the first line,
/// `Delivered-To: recipient` in the second.
package struct SpoolEnvelope: Hashable, Sendable {
    /// What stands between the angle brackets.
    package let sender: [UInt8]
    /// What stands behind `Delivered-To: `; it may begin with a prefix.
    package let deliveredTo: [UInt8]
    /// Octets of the two lines.
    package let byteCount: Int

    /// Octets of one such line.
    static let lineBytesMax = 8 << 10

    /// Nil if `head`, the beginning of a file, does not start with these two lines.
    init?(_ head: [UInt8]) {
        let lf = UInt8(ascii: "\n")
        guard let first = head.firstIndex(of: lf), let second = head[(first + 1)...].firstIndex(of: lf),
            head.starts(with: Self.returnPath), first > Self.returnPath.count, head[first - 1] == UInt8(ascii: ">"),
            head[(first + 1)...].starts(with: Self.deliveredTo)
        else { return nil }
        sender = Array(head[Self.returnPath.count..<(first - 1)])
        deliveredTo = Array(head[(first + 1 + Self.deliveredTo.count)..<second])
        byteCount = second + 1
        if sender.contains(0) || deliveredTo.contains(0) { return nil }
    }

    private static let returnPath = Array("Return-Path: <".utf8)
    private static let deliveredTo = Array("Delivered-To: ".utf8)

    /// The recipient without the prefix; nil if it does not begin with it.
    package func recipient(without prefix: [UInt8]) -> [UInt8]? {
        deliveredTo.starts(with: prefix) ? Array(deliveredTo[prefix.count...]) : nil
    }

    /// The two lines for a message that is to wait in a Maildir.
    package static func lines(sender: [UInt8], deliveredTo: [UInt8]) -> [UInt8] {
        returnPath + sender + Array(">\n".utf8) + Self.deliveredTo + deliveredTo + [UInt8(ascii: "\n")]
    }
}

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
