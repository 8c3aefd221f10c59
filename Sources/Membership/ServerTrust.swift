/// How a server of somebody else's proves who it is.
package struct ServerTrust: Sendable, Equatable {
    /// Nil for the system's.
    package var ca: String?
    package var pinnedCertificate: String?
    /// Nil for the address's host.
    package var certificateName: String?

    package init(ca: String? = nil, pinnedCertificate: String? = nil, certificateName: String? = nil) {
        self.ca = ca
        self.pinnedCertificate = pinnedCertificate
        self.certificateName = certificateName
    }

    /// Whether nothing is told of the certificate but a name.
    package var isOpen: Bool { ca == nil && pinnedCertificate == nil }
}

extension ServerTrust {
    /// The keys of a section that says it of its server.
    static func keys<Section>(at place: WritableKeyPath<Section, ServerTrust>) -> [SectionKey<Section>] {
        [
            .value(
                "ca", place.appending(path: \.ca), .optional(.path, "the system's"),
                "The CA that its certificate must be of (PEM)"),
            .value(
                "pinnedCertificate", place.appending(path: \.pinnedCertificate), .optional(.path, "none"),
                "The one certificate that it must show (PEM), whatever its names and dates; instead of a CA"),
            .value(
                "certificateName", place.appending(path: \.certificateName), .optional(.domain, "the address's host"),
                "The name that its certificate must bear"),
        ]
    }

    /// - Parameter path: of the section.
    func check(_ path: String, _ reader: inout ConfigurationReader) {
        if ca != nil, pinnedCertificate != nil {
            reader.problem("a certificate is pinned or of a CA: not both", path: "\(path).ca")
        }
    }

    /// With the files where `place` says that they lie.
    func placed(_ place: (String) -> String) -> ServerTrust {
        ServerTrust(
            ca: ca.map(place), pinnedCertificate: pinnedCertificate.map(place), certificateName: certificateName)
    }
}
