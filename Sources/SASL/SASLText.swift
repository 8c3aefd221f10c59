/// What a user name and a password may be made of, in every mechanism.
enum SASLText {
    static let otherIdentity = "nobody may act for somebody else here"

    /// Nil unless the bytes are UTF-8 without NUL.
    static func text(_ bytes: ArraySlice<UInt8>) -> String? {
        bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
    }

    /// Not empty, not too long, and without control characters, because it stands in logs.
    static func isUser(_ text: String) -> Bool {
        (1...SASLLimits.userOctetsMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }

    static func user(_ bytes: ArraySlice<UInt8>) -> String? {
        guard bytes.count <= SASLLimits.userOctetsMax, let text = text(bytes), isUser(text) else { return nil }
        return text
    }

    static func password(_ bytes: ArraySlice<UInt8>) -> String? {
        guard (1...SASLLimits.passwordOctetsMax).contains(bytes.count) else { return nil }
        return text(bytes)
    }
}
