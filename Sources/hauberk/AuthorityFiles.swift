import Certificates
import Foundation
import Membership

/// The cluster's CA where the configuration puts it: the certificate at trust.ca, the key beside it.
struct AuthorityFiles {
    let certificate: String
    let key: String
    private let name: String

    init(_ configuration: ClusterConfiguration) {
        certificate = configuration.trust.ca
        key = (certificate as NSString).deletingPathExtension + ".key"
        name = "\(configuration.cluster.name) cluster CA"
    }

    /// Makes a new CA; one that is there is never touched, because every certificate depends on it.
    func make() throws -> CertificateAuthority {
        guard !FileManager.default.fileExists(atPath: certificate) else {
            throw CommandFailure(
                "\(certificate) is there already: every certificate of the cluster depends on it. "
                    + "To begin anew, move it and its key away, and issue all certificates again")
        }
        try Folders.make((certificate as NSString).deletingLastPathComponent)
        let authority = try CertificateAuthority.make(name: name, keyPEM: CertificateFiles.key(at: key))
        try authority.files.write(certificate: certificate, key: key)
        return authority
    }

    func load() throws -> CertificateAuthority {
        guard FileManager.default.fileExists(atPath: certificate) else {
            throw CommandFailure("there is no CA at \(certificate): 'hauberk certs init' makes one")
        }
        guard FileManager.default.fileExists(atPath: key) else {
            throw CommandFailure("the CA's key \(key) is not here: issue certificates on the machine that has it")
        }
        return try CertificateAuthority(
            CertificateFiles(
                certificatePEM: String(contentsOfFile: certificate, encoding: .utf8),
                keyPEM: String(contentsOfFile: key, encoding: .utf8)))
    }
}
