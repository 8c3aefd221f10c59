import ArgumentParser
import Certificates
import Foundation
import Membership

/// `certs init`.
struct CertificatesInit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make the cluster's CA. One that is there is never overwritten.",
        discussion: """
            The certificate goes to trust.ca, the key beside it. Keep the key on one safe machine: whoever has it can \
            make a storage node that is believed.

              hauberk certs init --config cluster.yaml
            """)

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    func run() async throws {
        let configuration = try file.load()
        let files = AuthorityFiles(configuration)
        let authority = try files.make()
        try output.show(
            ["name": authority.name, "certificate": files.certificate, "key": files.key],
            "\(authority.name) made: certificate \(files.certificate), key \(files.key)\n")
        if configuration.trust.mode == .local { note("Note: trust.mode is local, so no hop uses it yet.") }
    }
}

/// `certs issue`.
struct CertificatesIssue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue",
        abstract: "Make certificates for processes of the cluster, signed by its CA.",
        discussion: """
            They go where trust.certificate and trust.key say. SIGHUP makes a running process take a renewed one.

              hauberk certs issue store-4
              hauberk certs issue --all --replace
            """)

    @Argument(help: "Frontends and storage nodes of the configuration.")
    var names: [String] = []

    @Flag(help: "For every process of the configuration that has none.")
    var all = false

    @Option(
        name: .customLong("dns"),
        help: ArgumentHelp("A further DNS name in the certificates; may be given again.", valueName: "name"))
    var dnsNames: [String] = []

    @Option(
        name: .customLong("ip"),
        help: ArgumentHelp("An IP address in the certificates; may be given again.", valueName: "address"))
    var ipAddresses: [String] = []

    @Flag(help: "Make new ones in the place of those that are there.")
    var replace = false

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    private struct Issued: Encodable {
        let name: String
        let certificate: String
        let key: String
        /// False if one was there already.
        let made: Bool
    }

    func validate() throws {
        if all == !names.isEmpty { throw ValidationError("Give the names of processes, or --all.") }
    }

    func run() async throws {
        let configuration = try file.load()
        for name in names where !configuration.processNames.contains(name) {
            let known = configuration.processNames.joined(separator: ", ")
            throw CommandFailure("\(configuration.file) has no frontend or node \(name); it has: \(known)")
        }
        let alternatives = try CertificateNames(dnsNames: dnsNames, ipAddresses: ipAddresses)
        let authority = try AuthorityFiles(configuration).load()
        var issued: [Issued] = []
        for name in all ? configuration.processNames : names {
            let place = configuration.hopIdentity(of: name)
            if !replace, FileManager.default.fileExists(atPath: place.certificate) {
                guard all else {
                    throw CommandFailure("\(place.certificate) is there already: --replace makes a new one")
                }
                issued.append(Issued(name: name, certificate: place.certificate, key: place.key, made: false))
                continue
            }
            try Folders.make((place.certificate as NSString).deletingLastPathComponent)
            let keyPEM = replace ? nil : try CertificateFiles.key(at: place.key)
            try authority.issue(node: name, names: alternatives, keyPEM: keyPEM)
                .write(certificate: place.certificate, key: place.key, replacing: replace)
            issued.append(Issued(name: name, certificate: place.certificate, key: place.key, made: true))
        }
        try output.show(
            issued, issued.reduce("") { "\($0)\($1.name): \($1.certificate) \($1.made ? "made" : "is there")\n" })
    }
}

/// `certs listener`.
struct CertificatesListener: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listener",
        abstract: "Make self-signed certificates for the frontends' listeners, for development.",
        discussion: """
            They go where frontends[].tls says, and are good for the frontends' host names and for localhost. Clients \
            of a real site need certificates of a CA that they know.

              hauberk certs listener
            """)

    @Flag(help: "Make new ones in the place of those that are there.")
    var replace = false

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    private struct Issued: Encodable {
        let certificate: String
        let key: String
        let hostnames: [String]
        /// False if one was there already.
        let made: Bool

        init(_ place: ListenerCertificate, made: Bool) {
            (certificate, key, hostnames, self.made) = (place.certificate, place.key, place.hostnames, made)
        }

        var text: String {
            made ? "\(certificate) made, for \(hostnames.joined(separator: ", "))" : "\(certificate) is there"
        }
    }

    func run() async throws {
        let configuration = try file.load()
        let places = ListenerCertificate.all(configuration)
        guard !places.isEmpty else {
            throw CommandFailure("no frontend of \(configuration.file) has tls.certificate and tls.key")
        }
        var issued: [Issued] = []
        for place in places {
            if !replace, FileManager.default.fileExists(atPath: place.certificate) {
                issued.append(Issued(place, made: false))
                continue
            }
            try Folders.make((place.certificate as NSString).deletingLastPathComponent)
            let names = try CertificateNames(
                dnsNames: place.hostnames + ["localhost"], ipAddresses: ["127.0.0.1", "::1"])
            let keyPEM = replace ? nil : try CertificateFiles.key(at: place.key)
            try CertificateAuthority.selfSigned(names: names, keyPEM: keyPEM)
                .write(certificate: place.certificate, key: place.key, replacing: replace)
            issued.append(Issued(place, made: true))
        }
        try output.show(issued, issued.reduce("") { "\($0)\($1.text)\n" })
    }
}

/// One certificate that clients see; several frontends may share it.
struct ListenerCertificate {
    let certificate: String
    let key: String
    var frontends: [String]
    var hostnames: [String]

    static func all(_ configuration: ClusterConfiguration) -> [ListenerCertificate] {
        configuration.frontends.reduce(into: []) { places, frontend in
            guard let certificate = frontend.tls.certificate, let key = frontend.tls.key else { return }
            let hostname = configuration.hostname(of: frontend)
            guard let index = places.firstIndex(where: { $0.certificate == certificate }) else {
                places.append(
                    ListenerCertificate(
                        certificate: certificate, key: key, frontends: [frontend.name], hostnames: [hostname]))
                return
            }
            places[index].frontends.append(frontend.name)
            if !places[index].hostnames.contains(hostname) { places[index].hostnames.append(hostname) }
        }
    }
}
