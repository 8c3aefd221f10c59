import NIOCore
import NIOSSL

/// A certificate, key or CA that cannot be used: which file, and why.
package struct TLSFileError: Error, CustomStringConvertible {
    package let description: String
}

/// What a listener needs to speak TLS.
package struct ServerTLS: Sendable {
    let context: NIOSSLContext

    /// For clients from anywhere (RFC 8314): TLS 1.2 and later, no client certificates.
    package init(certificate: String, key: String) throws(TLSFileError) {
        context = try makeContext(certificate) {
            var configuration = try TLSConfiguration.makeServerConfiguration(
                certificateChain: NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
                privateKey: .privateKey(NIOSSLPrivateKey(file: key, format: .pem)))
            configuration.minimumTLSVersion = .tlsv12
            return configuration
        }
    }

    /// For the cluster's own hops: the peer must show a certificate of the cluster's CA.
    package init(clusterCA: String, certificate: String, key: String) throws(TLSFileError) {
        context = try makeContext(certificate) {
            var configuration = try TLSConfiguration.makeServerConfiguration(
                certificateChain: NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
                privateKey: .privateKey(NIOSSLPrivateKey(file: key, format: .pem)))
            configuration.minimumTLSVersion = .tlsv13
            configuration.certificateVerification = .noHostnameVerification
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(clusterCA))
            configuration.curves = hopCurves
            return configuration
        }
    }
}

/// Both ends of a hop are ours. A POP3 session has a connection of its own to its node, and the post-quantum exchange
/// that BoringSSL would choose is about a fifth of its handshake.
private let hopCurves: [NIOTLSCurve] = [.x25519]

/// What a connection to a node of the cluster, or a load generator's to a server, needs to speak TLS.
package struct ClientTLS: Sendable {
    let context: NIOSSLContext
    /// The only certificate that the server may show, if it is one; whatever its names and dates.
    private(set) var pinned: NIOSSLCertificate?

    /// For the cluster's own hops: both sides show a certificate of the cluster's CA.
    package init(clusterCA: String, certificate: String, key: String) throws(TLSFileError) {
        context = try makeContext(certificate) {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv13
            configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
            configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(clusterCA))
            configuration.curves = hopCurves
            return configuration
        }
    }

    /// For servers of others: their certificates are checked, and the name in them.
    ///
    /// - Parameter roots: a PEM file with the certificates that are trusted; nil for the system's.
    package init(roots: String?) throws(TLSFileError) {
        context = try makeContext(roots ?? "the system's certificates") {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv12
            if let roots {
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(roots))
            }
            return configuration
        }
    }

    /// For a server of others that shows one known certificate, such as a self-signed one.
    ///
    /// - Parameter pinned: a PEM file with that certificate.
    package init(pinned path: String) throws(TLSFileError) {
        var certificate: NIOSSLCertificate?
        context = try makeContext(path) {
            certificate = try NIOSSLCertificate.fromPEMFile(path).first
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv12
            return configuration
        }
        guard let certificate else { throw TLSFileError(description: "\(path) holds no certificate (PEM)") }
        pinned = certificate
    }

    func makeHandler(name: String?) throws -> NIOSSLClientHandler {
        // RFC 6066 §3: no address is sent as a name; without one, the certificate must bear the peer's address.
        let name = name.flatMap { (try? SocketAddress(ipAddress: $0, port: 0)) == nil ? $0 : nil }
        guard let pinned else { return try NIOSSLClientHandler(context: context, serverHostname: name) }
        return try NIOSSLClientHandler(
            context: context, serverHostname: name,
            customVerificationCallback: { shown, verdict in
                verdict.succeed(shown.first == pinned ? .certificateVerified : .failed)
            })
    }

    /// Takes any certificate: for measuring, and for servers that would be spoken to without TLS otherwise (RFC 7435).
    package init(unverified: Void) throws(TLSFileError) {
        context = try makeContext("client") {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.certificateVerification = .none
            return configuration
        }
    }
}

private func makeContext(
    _ certificate: String, _ configuration: () throws -> TLSConfiguration
) throws(TLSFileError) -> NIOSSLContext {
    do {
        return try NIOSSLContext(configuration: configuration())
    } catch {
        throw TLSFileError(description: "cannot use \(certificate) with its key and CA for TLS: \(error)")
    }
}
