import Certificates
import Directory
import Foundation
import Maildirs
import Membership

/// `serve --init`: makes what a process needs and does not find. What is there already is left as it is, so it can be
/// said at every start of a development cluster; several processes may say it at once.
struct Initialisation {
    let plan: ProcessPlan

    private var configuration: ClusterConfiguration { plan.configuration }

    func run() async throws {
        try makeFolder(configuration.home)
        let lock = try InitialisationLock(folder: configuration.home)
        defer { lock.release() }
        try makeCertificates()
        for node in plan.nodes { try makeStore(node) }
        try await makeDirectory()
    }

    private func makeFolder(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure("cannot make the folder \(path): \(error.localizedDescription)")
        }
    }

    private func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    // MARK: certificates

    private func makeCertificates() throws {
        let hops = configuration.trust.mode == .mutualTLS
        let authority = hops ? try self.authority() : nil
        if let authority {
            for name in plan.names {
                let identity = configuration.hopIdentity(of: name)
                guard !isThere(identity.certificate) else { continue }
                try makeFolder((identity.certificate as NSString).deletingLastPathComponent)
                try authority.issue(node: name, names: CertificateNames(dnsNames: [name]))
                    .write(certificate: identity.certificate, key: identity.key)
            }
        }
        for frontend in plan.frontends { try makeListenerCertificate(frontend, authority) }
    }

    private func authority() throws -> CertificateAuthority {
        let ca = configuration.trust.ca
        let key = (ca as NSString).deletingPathExtension + ".key"
        guard isThere(ca) else {
            try makeFolder((ca as NSString).deletingLastPathComponent)
            let authority = try CertificateAuthority.make(name: "\(configuration.cluster.name) cluster CA")
            try authority.files.write(certificate: ca, key: key)
            return authority
        }
        return try CertificateAuthority(
            CertificateFiles(
                certificatePEM: String(contentsOfFile: ca, encoding: .utf8),
                keyPEM: String(contentsOfFile: key, encoding: .utf8)))
    }

    /// For a frontend whose certificate is not there: one that only development should show to clients.
    private func makeListenerCertificate(_ frontend: FrontendSettings, _ authority: CertificateAuthority?) throws {
        guard let certificate = frontend.tls.certificate, let key = frontend.tls.key, !isThere(certificate) else {
            return
        }
        try makeFolder((certificate as NSString).deletingLastPathComponent)
        let hostname = configuration.hostname(of: frontend)
        let names = try CertificateNames(dnsNames: [hostname, "localhost"], ipAddresses: ["127.0.0.1", "::1"])
        let files =
            try authority?.issue(node: hostname, names: names, isClient: false)
            ?? CertificateAuthority.selfSigned(names: names)
        try files.write(certificate: certificate, key: key)
    }

    // MARK: stores and directory

    private func makeStore(_ node: NodeSettings) throws {
        try makeFolder((node.data as NSString).deletingLastPathComponent)
        try MaildirStore.initialize(
            root: node.data, cluster: configuration.cluster.name, node: node.name,
            partitions: configuration.cluster.partitions)
    }

    private func makeDirectory() async throws {
        try makeFolder((configuration.directory.path as NSString).deletingLastPathComponent)
        let directory = SQLiteDirectory(
            settings: Directory.DirectorySettings(path: configuration.directory.path), access: .administration)
        try await directory.check()
    }
}

/// Keeps processes that initialise one home at the same time apart. The system lets go of it when a process dies.
private struct InitialisationLock {
    private let descriptor: Int32

    init(folder: String) throws {
        descriptor = open("\(folder)/.init.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0, flock(descriptor, LOCK_EX) == 0 else {
            throw CommandFailure("cannot lock \(folder)/.init.lock: \(String(cString: strerror(errno)))")
        }
    }

    func release() { close(descriptor) }
}
