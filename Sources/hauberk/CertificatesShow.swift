import ArgumentParser
import Certificates
import Foundation
import Membership

/// `certs show`.
struct CertificatesShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show all certificates that the configuration names, and when they end.",
        discussion: """
            On a machine of a large cluster those of other machines' processes are missing, as they should be. \
            Certificates that end within 30 days are pointed out.

              hauberk certs show --json
            """)

    @OptionGroup var output: OutputOption
    @OptionGroup var file: ConfigurationOption

    func run() async throws {
        let rows = CertificateRow.all(try file.load())
        var table = TextTable(["for", "name", "ends", "state", "file"])
        for row in rows {
            table.add([row.use, row.name ?? "", row.validUntil ?? "", row.stateText, row.file])
        }
        try output.show(rows, table.text(empty: "the configuration names no certificates"))
        for row in rows where row.state == .ending || row.state == .expired {
            note("Warning: \(row.file) (\(row.use)) \(row.stateText)")
        }
    }
}

/// One certificate file and what it says.
private struct CertificateRow: Encodable {
    enum State: String, Encodable {
        case good, ending, expired, missing, unreadable
    }

    private static let warningDays = 30

    let use: String
    let file: String
    let state: State
    private(set) var name: String?
    private(set) var validFrom: String?
    private(set) var validUntil: String?
    private(set) var daysLeft: Int?
    private(set) var problem: String?

    static func all(_ configuration: ClusterConfiguration) -> [CertificateRow] {
        var rows: [CertificateRow] = []
        if configuration.trust.mode == .mutualTLS {
            rows.append(CertificateRow("CA", configuration.trust.ca))
            rows += configuration.processNames.map {
                CertificateRow("hops of \($0)", configuration.hopIdentity(of: $0).certificate)
            }
        }
        return rows
            + ListenerCertificate.all(configuration).map {
                CertificateRow("clients of \($0.frontends.joined(separator: ", "))", $0.certificate)
            }
    }

    private init(_ use: String, _ file: String) {
        self.use = use
        self.file = file
        guard FileManager.default.fileExists(atPath: file) else {
            state = .missing
            return
        }
        do {
            let summary = try CertificateSummary(pem: String(contentsOfFile: file, encoding: .utf8))
            let seconds = Double(summary.validUntil) - Date().timeIntervalSince1970
            let days = Int((seconds / 86400).rounded(.down))
            name = summary.name
            validFrom = Self.text(summary.validFrom)
            validUntil = Self.text(summary.validUntil)
            daysLeft = days
            state = seconds <= 0 ? .expired : days < Self.warningDays ? .ending : .good
        } catch {
            state = .unreadable
            problem = (error as? CertificateError)?.description ?? error.localizedDescription
        }
    }

    var stateText: String {
        switch state {
        case .good, .ending: daysLeft == 1 ? "ends in 1 day" : "ends in \(daysLeft ?? 0) days"
        case .expired: "has expired"
        case .missing: "missing"
        case .unreadable: "unreadable: \(problem ?? "")"
        }
    }

    private static func text(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }
}
