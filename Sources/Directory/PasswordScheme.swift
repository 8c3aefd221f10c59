import CCrypt
import Digests
import Glibc

/// How passwords are kept: crypt(3) of libxcrypt. Whatever it knows is verified; these are what new hashes are made in.
package enum PasswordScheme: String, Sendable, CaseIterable, Codable {
    case yescrypt
    case bcrypt
    case sha512

    var prefix: String {
        switch self {
        case .yescrypt: "$y$"
        case .bcrypt: "$2b$"
        case .sha512: "$6$"
        }
    }

    /// A new salt, and how much work checking is to be; the cost is the scheme's own default.
    func setting() -> String {
        setting(cost: 0)
    }

    /// - Parameter cost: in the scheme's own units (crypt_gensalt(3)); zero is its default.
    func setting(cost: UInt) -> String {
        let random = SecureRandom.bytes(32).map { CChar(bitPattern: $0) }
        guard let text = crypt_gensalt_ra(prefix, cost, random, Int32(random.count)) else {
            preconditionFailure("libcrypt has no \(rawValue) of cost \(cost)")
        }
        defer { free(text) }
        return String(cString: text)
    }

    /// The scheme of a stored hash, for a listing.
    static func name(ofHash hash: String) -> String {
        if let scheme = allCases.first(where: { hash.hasPrefix($0.prefix) }) { return scheme.rawValue }
        let fields = hash.split(separator: "$", omittingEmptySubsequences: false)
        return fields.count > 2 && !fields[1].isEmpty ? String(fields[1]) : "unknown"
    }
}

/// A crypt(3) hash that another server made, so that its users keep their passwords.
package struct ForeignHash: Hashable, Sendable {
    let text: String

    /// Dovecot's names for what is a crypt(3) hash.
    private static let prefixes = ["{CRYPT}", "{BLF-CRYPT}", "{SHA512-CRYPT}", "{SHA256-CRYPT}", "{MD5-CRYPT}"]
    private static let octetsMax = 384

    /// Takes a hash with a `$`, or one as Dovecot writes it (`{BLF-CRYPT}$2y$…`). Nil if libcrypt cannot verify it or it
    /// is not whole.
    package init?(_ text: String) {
        var text = text[...]
        if let prefix = Self.prefixes.first(where: { text.uppercased().hasPrefix($0) }) {
            text = text.dropFirst(prefix.count)
        }
        let hash = String(text)
        guard hash.hasPrefix("$"), hash.utf8.count <= Self.octetsMax,
            hash.utf8.allSatisfy({ (0x21...0x7E).contains($0) }),
            [CRYPT_SALT_OK, CRYPT_SALT_METHOD_LEGACY].contains(crypt_checksalt(hash)), Self.isWhole(hash)
        else { return nil }
        self.text = hash
    }

    /// A setting without its digest, or a digest that was cut, would refuse every password.
    private static func isWhole(_ hash: String) -> Bool {
        let fields = hash.split(separator: "$", omittingEmptySubsequences: false)
        guard fields.count > 3, let digest = fields.last, digest.utf8.allSatisfy(isCryptByte) else { return false }
        switch fields[1] {
        case "2a", "2b", "2x", "2y": return fields.count == 4 && digest.utf8.count == 53
        case "6": return digest.utf8.count == 86
        case "y", "gy", "7", "5": return digest.utf8.count == 43
        case "1": return digest.utf8.count == 22
        default: return false
        }
    }

    private static func isCryptByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "/"):
            true
        default: false
        }
    }
}

/// crypt(3) itself: slow on purpose, so only a `PasswordPool` calls it.
enum PasswordHash {
    /// Nil if libcrypt knows no such setting, or takes no such password.
    static func make(_ password: String, setting: String) -> String? {
        // C would see only what stands before a NUL.
        guard !password.utf8.contains(0) else { return nil }
        let size = MemoryLayout<crypt_data>.size
        let data = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
        memset(data, 0, size)
        defer {
            explicit_bzero(data, size)
            data.deallocate()
        }
        guard let text = crypt_rn(password, setting, data, Int32(size)) else { return nil }
        return String(cString: text)
    }

    static func isRight(_ password: String, hash: String) -> Bool {
        guard let made = make(password, setting: hash) else { return false }
        return constantTimeEqual(Array(made.utf8), Array(hash.utf8))
    }
}
