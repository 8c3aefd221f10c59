/// The client's first message (RFC 5802 §7): `n,,n=user,r=nonce`.
struct SCRAMClientFirst: Sendable, Equatable {
    let header: String
    let bare: String
    let user: String
    let nonce: String

    init(_ message: [UInt8]) throws(SASLFailure) {
        guard message.count <= SASLLimits.messageOctetsMax, let text = SASLText.text(message[...]) else {
            throw .malformed("not a SCRAM message")
        }
        let parts = SCRAMText.attributes(text[...], splitsMax: 2)
        guard parts.count == 3 else { throw .malformed("no GS2 header") }
        try Self.checkChannelBinding(parts[0])
        header = "\(parts[0]),\(parts[1]),"
        bare = String(parts[2])
        let attributes = SCRAMText.attributes(parts[2])
        guard SCRAMText.value("m", of: attributes[0]) == nil else { throw .unsupported("extensions-not-supported") }
        guard attributes.count >= 2, let name = SCRAMText.value("n", of: attributes[0]),
            let nonce = SCRAMText.value("r", of: attributes[1]), SCRAMText.isNonce(nonce),
            attributes.dropFirst(2).allSatisfy(SCRAMText.isAttribute)
        else { throw .malformed("no user name or no nonce") }
        guard let user = SCRAMText.decodedName(name), SASLText.isUser(user) else {
            throw .malformed("invalid-username-encoding")
        }
        self.user = user
        self.nonce = String(nonce)
        try Self.checkAuthorization(parts[1], user: user)
    }

    /// "n": the client cannot bind; "y": it could and saw that we do not offer it, which is true; "p=": it insists.
    private static func checkChannelBinding(_ flag: Substring) throws(SASLFailure) {
        switch flag {
        case "n", "y": break
        case _ where SCRAMText.value("p", of: flag) != nil: throw .unsupported("channel-binding-not-supported")
        default: throw .malformed("no GS2 header")
        }
    }

    private static func checkAuthorization(_ field: Substring, user: String) throws(SASLFailure) {
        guard !field.isEmpty else { return }
        guard let name = SCRAMText.value("a", of: field), let identity = SCRAMText.decodedName(name) else {
            throw .malformed("no GS2 header")
        }
        guard Array(identity.utf8) == Array(user.utf8) else { throw .unsupported(SASLText.otherIdentity) }
    }
}

/// The client's last message (RFC 5802 §7): `c=biws,r=nonce,p=proof`.
struct SCRAMClientFinal {
    let channelBinding: Substring
    let nonce: Substring
    let withoutProof: String
    let proof: [UInt8]

    init(_ message: [UInt8]) throws(SASLFailure) {
        guard message.count <= SASLLimits.messageOctetsMax, let text = SASLText.text(message[...]) else {
            throw .malformed("not a SCRAM message")
        }
        let attributes = SCRAMText.attributes(text[...])
        guard attributes.count >= 3, let last = attributes.last,
            let channelBinding = SCRAMText.value("c", of: attributes[0]),
            let nonce = SCRAMText.value("r", of: attributes[1]),
            attributes.dropFirst(2).dropLast().allSatisfy(SCRAMText.isAttribute),
            let encoded = SCRAMText.value("p", of: last), let proof = Base64.decode(encoded.utf8)
        else { throw .malformed("no proof") }
        self.channelBinding = channelBinding
        self.nonce = nonce
        self.proof = proof
        withoutProof = String(text.utf8.prefix(text.utf8.count - last.utf8.count - 1)) ?? ""
    }
}

/// The grammar that SCRAM's messages share (RFC 5802 §7).
enum SCRAMText {
    /// Split at the commas; never empty. By bytes: a combining mark behind a comma would hide it among characters.
    static func attributes(_ text: Substring, splitsMax: Int = .max) -> [Substring] {
        let parts = text.utf8.split(
            separator: UInt8(ascii: ","), maxSplits: splitsMax, omittingEmptySubsequences: false)
        return parts.map { Substring($0) }
    }

    /// What stands behind `name=`.
    static func value(_ name: String, of attribute: Substring) -> Substring? {
        guard attribute.utf8.starts(with: "\(name)=".utf8) else { return nil }
        return Substring(attribute.utf8.dropFirst(2))
    }

    static func isAttribute(_ attribute: Substring) -> Bool {
        let bytes = Array(attribute.utf8.prefix(3))
        guard bytes.count == 3, bytes[1] == UInt8(ascii: "=") else { return false }
        return (0x41...0x5A).contains(bytes[0]) || (0x61...0x7A).contains(bytes[0])
    }

    /// Printable characters without a comma, and not endlessly many.
    static func isNonce(_ text: some StringProtocol) -> Bool {
        (1...SASLLimits.nonceOctetsMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ",") }
    }

    /// `=2C` is a comma, `=3D` is "=", and "=" stands for nothing else.
    static func decodedName(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "=") else {
                bytes.append(byte)
                continue
            }
            switch Array(rest.prefix(2)) {
            case Array("2C".utf8): bytes.append(UInt8(ascii: ","))
            case Array("3D".utf8): bytes.append(UInt8(ascii: "="))
            default: return nil
            }
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    static func encodedName(_ name: String) -> String {
        var text = ""
        for scalar in name.unicodeScalars {
            switch scalar {
            case ",": text += "=2C"
            case "=": text += "=3D"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
