import SMTP

extension String {
    var bytes: [UInt8] { Array(utf8) }
}

extension Array where Element == UInt8 {
    var text: String { String(decoding: self, as: UTF8.self) }
}

func parsePath(_ text: String) -> SMTPPath? {
    text.bytes.withUnsafeBytes { bytes in
        guard let (path, length) = SMTPPath.parse(bytes), length == bytes.count else { return nil }
        return path
    }
}
