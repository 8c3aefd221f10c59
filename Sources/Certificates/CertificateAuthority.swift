import CCrypto

/// The cluster's own certificate authority: whoever has a certificate of it is a node of the cluster.
///
/// Keys are ECDSA on P-256. An authority signs nodes and no further authorities (path length 0).
package struct CertificateAuthority: Sendable {
    package let files: CertificateFiles
    package let name: String

    package static let validityDefault = Duration.seconds(10 * 365 * 86400)
    package static let nodeValidityDefault = Duration.seconds(2 * 365 * 86400)

    /// Makes a new authority.
    ///
    /// - Parameter keyPEM: its key, if there is one already.
    package static func make(
        name: String, validity: Duration = validityDefault, keyPEM: String? = nil
    ) throws(CertificateError) -> CertificateAuthority {
        try checkName(name)
        let key = try PrivateKey(existing: keyPEM)
        let certificate = try Certificate()
        try certificate.setValidity(validity)
        try certificate.setSubject([("CN", name)])
        try certificate.finish(
            key: key, issuer: certificate.pointer,
            extensions: [
                (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"), (NID_key_usage, "critical,keyCertSign,cRLSign"),
            ])
        try certificate.sign(by: key)
        let files = try CertificateFiles(certificate, key, keyPEM: keyPEM)
        return CertificateAuthority(files: files, name: name)
    }

    private init(files: CertificateFiles, name: String) {
        self.files = files
        self.name = name
    }

    /// Takes an authority that was made before; checks that the two belong together and may sign.
    package init(_ files: CertificateFiles) throws(CertificateError) {
        let certificate = try Certificate(pem: files.certificatePEM)
        let key = try PrivateKey(pem: files.keyPEM)
        guard certificate.isAuthority else { throw .notAnAuthority(certificate.commonName) }
        ERR_clear_error()
        guard X509_check_private_key(certificate.pointer, key.pointer) == 1 else { throw .keyDoesNotFit }
        self.init(files: files, name: certificate.commonName)
    }

    /// Makes a certificate for a node, good for both ends of a connection.
    ///
    /// - Parameters:
    ///   - node: the node's name: the certificate's common name, and one of its DNS names if it can be one.
    ///   - names: further names and addresses that others reach the node by.
    ///   - isClient: whether it also proves who opens a connection; not for what strangers see.
    ///   - roles: what the node is allowed to be ("frontend", "storage"): the organizational units of the subject.
    ///   - keyPEM: its key, if there is one already.
    package func issue(
        node: String, names: CertificateNames, isClient: Bool = true, roles: [String] = [],
        validity: Duration = nodeValidityDefault, keyPEM: String? = nil
    ) throws(CertificateError) -> CertificateFiles {
        for name in [node] + roles { try Self.checkName(name) }
        let authority = try Certificate(pem: files.certificatePEM)
        let authorityKey = try PrivateKey(pem: files.keyPEM)
        let key = try PrivateKey(existing: keyPEM)
        let certificate = try Certificate()
        try certificate.setValidity(validity)
        try certificate.setSubject(roles.map { ("OU", $0) } + [("CN", node)])
        let isNamed = names.dnsNames.contains(node) || !CertificateNames.isDNSName(node)
        let all = try CertificateNames(
            dnsNames: (isNamed ? [] : [node]) + names.dnsNames, ipAddresses: names.ipAddresses)
        try certificate.finish(
            key: key, issuer: authority.pointer,
            extensions: Certificate.endEntity(names: all, purposes: isClient ? "serverAuth,clientAuth" : "serverAuth"))
        try certificate.sign(by: authorityKey)
        return try CertificateFiles(certificate, key, keyPEM: keyPEM)
    }

    /// A certificate that nobody vouches for, for development listeners.
    ///
    /// - Parameter keyPEM: its key, if there is one already.
    package static func selfSigned(
        names: CertificateNames, validity: Duration = nodeValidityDefault, keyPEM: String? = nil
    ) throws(CertificateError) -> CertificateFiles {
        let key = try PrivateKey(existing: keyPEM)
        let certificate = try Certificate()
        try certificate.setValidity(validity)
        try certificate.setSubject([("CN", names.dnsNames.first ?? names.ipAddresses.first ?? "development")])
        try certificate.finish(
            key: key, issuer: certificate.pointer,
            extensions: Certificate.endEntity(names: names, purposes: "serverAuth"))
        try certificate.sign(by: key)
        return try CertificateFiles(certificate, key, keyPEM: keyPEM)
    }

    private static func checkName(_ name: String) throws(CertificateError) {
        // RFC 5280 §A.1: ub-common-name and ub-organizational-unit-name.
        guard (1...64).contains(name.unicodeScalars.count), name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw .notAName(name)
        }
    }
}

extension CertificateFiles {
    /// - Parameter keyPEM: the key's text as it was read, if it was.
    fileprivate init(
        _ certificate: borrowing Certificate, _ key: borrowing PrivateKey, keyPEM: String?
    ) throws(CertificateError) {
        let text = if let keyPEM { keyPEM } else { try key.pem() }
        self.init(certificatePEM: try certificate.pem(), keyPEM: text)
    }
}

extension Certificate {
    static func endEntity(names: CertificateNames, purposes: String) -> [(Int32, String)] {
        [
            (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
            (NID_ext_key_usage, purposes),
        ] + (names.configuration.map { [(NID_subject_alt_name, $0)] } ?? [])
    }

    /// Puts in the public key, the issuer, the extensions, and the key identifiers that let a verifier find its way
    /// (RFC 5280 §4.2.1.1, §4.2.1.2).
    func finish(
        key: borrowing PrivateKey, issuer: OpaquePointer, extensions: [(Int32, String)]
    ) throws(CertificateError) {
        guard X509_set_pubkey(pointer, key.pointer) == 1,
            X509_set_issuer_name(pointer, X509_get_subject_name(issuer)) == 1
        else { throw .fromQueue(doing: "making a certificate") }
        for (identifier, value) in extensions { try add(identifier, value, issuer: issuer) }
        try add(NID_subject_key_identifier, "hash", issuer: issuer)
        try add(NID_authority_key_identifier, "keyid:always", issuer: issuer)
    }
}
