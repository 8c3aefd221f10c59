import Digests
import Mail

/// The identity that a file's stem stands for: itself, or for a foreign one that cannot be an identity, "h" and 32
/// hexadecimal digits of its hash. UIDL shows it, and tombstones and other replicas go by it.
enum StemIdentity {
    static func append(_ stem: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        if isIdentity(stem) { return output.append(contentsOf: stem) }
        output.append(UInt8(ascii: "h"))
        for byte in SHA256.hash(stem).prefix(16) {
            output.append(digits[Int(byte >> 4)])
            output.append(digits[Int(byte & 15)])
        }
    }

    static func bytes(of stem: UnsafeRawBufferPointer) -> [UInt8] {
        var bytes: [UInt8] = []
        append(stem, to: &bytes)
        return bytes
    }

    /// Of the message that has this file name.
    static func bytes(ofName name: UnsafeRawBufferPointer) -> [UInt8] {
        bytes(of: UnsafeRawBufferPointer(rebasing: name[..<MessageNameBytes.stemLength(of: name)]))
    }

    /// Gives `body` the identity, without copying a stem that is one.
    static func withBytes<Value>(of stem: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        isIdentity(stem) ? body(stem) : bytes(of: stem).withUnsafeBytes(body)
    }

    /// Whether `MessageIdentity` would take it.
    static func isIdentity(_ stem: UnsafeRawBufferPointer) -> Bool {
        (1...MessageIdentity.lengthMax).contains(stem.count) && stem.first != UInt8(ascii: ".")
            && stem.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "/") }
    }

    private static let digits = Array("0123456789abcdef".utf8)
}
