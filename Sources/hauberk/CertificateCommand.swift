import ArgumentParser

/// The cluster's certificates.
struct CertificateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certs",
        abstract: "Make and show certificates: the cluster's CA, those of its processes, those that clients see.",
        discussion: """
            Hops inside the cluster are TLS with certificates of the cluster's own CA on both sides. Every machine \
            needs the CA's certificate and those of its own processes; the CA's key is needed only to issue.

              hauberk certs init
              hauberk certs issue --all
              hauberk certs show
            """,
        subcommands: [
            CertificatesInit.self, CertificatesIssue.self, CertificatesListener.self, CertificatesShow.self,
        ])
}
