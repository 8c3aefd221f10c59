import Foundation

/// A password in the one form that all clients and key derivations agree on: SASLprep (RFC 4013), which SCRAM asks for
/// (RFC 5802 §2.2). For ASCII it is the password itself.
enum PreparedPassword {
    /// crypt(3) takes no longer one.
    static let octetsMax = 511

    /// Throws, with the reason, what SASLprep or crypt(3) forbids.
    static func checked(_ password: String) throws(DirectoryAdministrationError) -> String {
        guard !password.isEmpty else { throw .badPassword("it is empty") }
        let prepared = prepare(password)
        guard !prepared.isEmpty else { throw .badPassword("nothing is left of it after SASLprep") }
        guard prepared.utf8.count <= octetsMax else { throw .badPassword("it is longer than \(octetsMax) octets") }
        guard !prepared.unicodeScalars.contains(where: isProhibited) else {
            throw .badPassword("it has a control character or another that RFC 4013 forbids")
        }
        return prepared
    }

    /// RFC 4013 §2.1 and §2.2: odd spaces become spaces, invisible characters go, and the rest is composed (NFKC).
    static func prepare(_ password: String) -> String {
        if password.utf8.allSatisfy({ $0 < 0x80 }) { return password }
        var mapped = ""
        for scalar in password.unicodeScalars where !isMappedToNothing(scalar) {
            mapped.unicodeScalars.append(scalar.properties.generalCategory == .spaceSeparator ? " " : scalar)
        }
        return mapped.precomposedStringWithCompatibilityMapping
    }

    /// RFC 3454 table B.1.
    private static func isMappedToNothing(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0xAD, 0x34F, 0x1806, 0x180B...0x180D, 0x200B...0x200D, 0x2060, 0xFE00...0xFE0F, 0xFEFF: true
        default: false
        }
    }

    /// RFC 4013 §2.3, without the code points that Unicode has assigned since.
    private static func isProhibited(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .privateUse, .surrogate, .lineSeparator, .paragraphSeparator, .format: true
        default: scalar.properties.isNoncharacterCodePoint || (0xFFF9...0xFFFD).contains(scalar.value)
        }
    }
}
