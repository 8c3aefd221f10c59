import NIOSSL

/// How to reach an etcd cluster.
package struct EtcdSettings: Sendable {
    /// `https://etcd-1.example:2379`, one or more.
    package var endpoints: [String]
    /// For one request to one member. At least a millisecond.
    package var timeout = Duration.seconds(5)
    /// How long members may say that they cannot now until a request fails: they elect a leader in a second or two, and not
    /// so fast where their disks are slow.
    package var patience = Duration.zero
    /// The CA of the members' certificates (a PEM file); the system's own CAs without it.
    package var authority: String?
    /// The certificate that members see, and its key (PEM files).
    package var certificate: String?
    package var key: String?
    package var user: String?
    package var password: String?
    /// A watch that is silent for this long is asked for anew, from another member.
    package var watchSilenceMax = Duration.seconds(30)

    package init(endpoints: [String]) {
        self.endpoints = endpoints
    }
}

extension EtcdSettings {
    func tlsConfiguration() throws(EtcdError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        do {
            if let authority {
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authority))
            }
            if let certificate, let key {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) }
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
            }
            // Made once to see that everything fits together: a connection would say it too late.
            _ = try NIOSSLContext(configuration: configuration)
        } catch {
            let files = [authority, certificate, key].compactMap { $0 }.joined(separator: ", ")
            throw .settings("cannot use \(files) for TLS with etcd: \(error)")
        }
        return configuration
    }
}
