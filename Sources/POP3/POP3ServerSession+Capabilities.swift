import SASL

/// What the server can do (RFC 2449 §5), and in which language it says so (RFC 6856 §3).
extension POP3ServerSession {
    /// What AUTHORIZATION announces, TRANSACTION announces too (RFC 2449 §5), but for STLS, which is announced only
    /// where it is permitted (RFC 2595 §4). Whether plaintext is taken does not matter after login.
    mutating func capabilities(inTransaction: Bool) -> Action {
        output.ok("capability list follows")
        for capability in capabilityLines(inTransaction: inTransaction) { output.line(capability) }
        output.line(".")
        return .proceed
    }

    private func capabilityLines(inTransaction: Bool) -> [String] {
        var lines = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8", "LANG"]
        lines += ["EXPIRE \(settings.expireDays)", "LOGIN-DELAY \(settings.loginDelay)"]
        if inTransaction || settings.service == .frontend {
            lines += loginLines(inTransaction: inTransaction)
        } else {
            lines.append("XOPEN")
        }
        if !settings.implementation.isEmpty { lines.append("IMPLEMENTATION \(settings.implementation)") }
        return lines
    }

    private func loginLines(inTransaction: Bool) -> [String] {
        var lines: [String] = []
        if inTransaction || takesPlaintext { lines.append("USER") }
        let mechanisms = inTransaction ? settings.mechanisms : offeredMechanisms
        if !mechanisms.isEmpty { lines.append("SASL " + mechanisms.map(\.rawValue).joined(separator: " ")) }
        if !inTransaction, settings.offersStartTLS, !isTLS { lines.append("STLS") }
        return lines
    }

    /// LANG alone lists, LANG with a range chooses. All texts are English, which is also the default language that
    /// RFC 2277 §4.5 calls i-default.
    mutating func chooseLanguage(_ range: String?) -> Action {
        guard let range else {
            output.ok("languages follow")
            output.line("en English")
            output.line("i-default English")
            output.line(".")
            return .proceed
        }
        guard let tag = Self.tag(matching: range) else { return refuse("no such language") }
        language = tag
        output.ok("\(tag) English it is")
        return .proceed
    }

    /// Basic filtering (RFC 4647 §3.3.1): a range takes the tag that it equals, or that goes on behind it with "-".
    private static func tag(matching range: String) -> String? {
        switch range.lowercased() {
        case "*", "en": "en"
        case "i-default", "i": "i-default"
        default: nil
        }
    }
}
