/// What is known of a connection's TLS, for `Received:` and for policy.
package struct SMTPTLS: Hashable, Sendable {
    /// Such as "TLSv1.3".
    package var version: String
    /// Such as "TLS_AES_256_GCM_SHA384"; empty if unknown.
    package var cipher: String
    /// The name in the client's certificate, if it sent one and it was verified.
    package var verifiedName: String?

    package init(version: String, cipher: String = "", verifiedName: String? = nil) {
        self.version = version
        self.cipher = cipher
        self.verifiedName = verifiedName
    }
}

/// Who is at the other end of a connection.
package struct SMTPPeer: Hashable, Sendable {
    /// The IP address as text (`192.0.2.1`, `2001:db8::1`), without a port; empty for a Unix socket.
    package var address: String
    /// The name that the address has in DNS, if it was asked and confirmed.
    package var hostName: String?
    /// Nil on a plain connection.
    package var tls: SMTPTLS?

    package init(address: String, hostName: String? = nil, tls: SMTPTLS? = nil) {
        self.address = address
        self.hostName = hostName
        self.tls = tls
    }
}
