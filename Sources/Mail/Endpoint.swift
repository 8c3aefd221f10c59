/// Where a process listens or connects: a TCP address or a Unix socket.
package enum Endpoint: Hashable, Sendable {
    case tcp(host: String, port: Int)
    case unix(path: String)

    /// Takes `127.0.0.1:25`, `[::1]:25`, `host.example:25` or `unix:/path`. Nil for anything else; port 0 is taken, and
    /// means that the system chooses.
    package init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = text.dropFirst("unix:".count)
            guard path.hasPrefix("/") else { return nil }
            self = .unix(path: String(path))
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            // Brackets are for IPv6 (RFC 3986 §3.2.2): `[unix]:2` would be written as a socket's path.
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "[" || $0 == "]" }) else {
            return nil
        }
        self = .tcp(host: String(host), port: Int(port))
    }

    /// Nil for a Unix socket.
    package var host: String? { if case .tcp(let host, _) = self { host } else { nil } }

    /// Whether only processes of this machine can reach it.
    package var isLocal: Bool {
        switch self {
        case .unix: true
        case .tcp(let host, _):
            host == "localhost" || host == "::1"
                || (host.hasPrefix("127.")
                    && host.utf8.allSatisfy { $0 == UInt8(ascii: ".") || (0x30...0x39).contains($0) })
        }
    }
}

extension Endpoint: CustomStringConvertible {
    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
