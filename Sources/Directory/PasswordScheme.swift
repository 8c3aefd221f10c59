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
