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
        try Folders.make(configuration.home)
        let lock = try InitialisationLock(folder: configuration.home)
        defer { lock.release() }
        try makeCertificates()
        for node in plan.nodes { try makeStore(node) }
        try await makeDirectory()
    }

    private func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    // MARK: certificates

    /// The CA is asked for only when something is missing: its key need not be on every machine.
    private func makeCertificates() throws {
        let usesAuthority = configuration.trust.mode == .mutualTLS
        if usesAuthority, !isThere(configuration.trust.ca) { _ = try AuthorityFiles(configuration).make() }
        for name in plan.names where usesAuthority {
            let identity = configuration.hopIdentity(of: name)
            guard !isThere(identity.certificate) else { continue }
            try Folders.make((identity.certificate as NSString).deletingLastPathComponent)
            try AuthorityFiles(configuration).load().issue(
                node: name, names: CertificateNames(dnsNames: [name]), keyPEM: CertificateFiles.key(at: identity.key)
            ).write(certificate: identity.certificate, key: identity.key)
        }
        for frontend in plan.frontends { try makeListenerCertificate(frontend, usesAuthority: usesAuthority) }
    }

    /// For a frontend whose certificate is not there: one that only development should show to clients.
    private func makeListenerCertificate(_ frontend: FrontendSettings, usesAuthority: Bool) throws {
        guard let certificate = frontend.tls.certificate, let key = frontend.tls.key, !isThere(certificate) else {
            return
        }
        try Folders.make((certificate as NSString).deletingLastPathComponent)
        let hostname = configuration.hostname(of: frontend)
        let names = try CertificateNames(dnsNames: [hostname, "localhost"], ipAddresses: ["127.0.0.1", "::1"])
        let keyPEM = try CertificateFiles.key(at: key)
        let files =
            usesAuthority
            ? try AuthorityFiles(configuration).load().issue(
                node: hostname, names: names, isClient: false, keyPEM: keyPEM)
            : try CertificateAuthority.selfSigned(names: names, keyPEM: keyPEM)
        try files.write(certificate: certificate, key: key)
    }

    // MARK: stores and directory

    private func makeStore(_ node: NodeSettings) throws {
        try Folders.make((node.data as NSString).deletingLastPathComponent)
        try MaildirStore.initialize(
            root: node.data, cluster: configuration.cluster.name, node: node.name,
            partitions: configuration.cluster.partitions)
    }

    private func makeDirectory() async throws {
        try Folders.make((configuration.directory.path as NSString).deletingLastPathComponent)
        let directory = SQLiteDirectory(
            settings: Directory.DirectorySettings(configuration.directory), access: .administration)
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
