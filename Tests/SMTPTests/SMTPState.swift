import SASL
import SMTP
import Testing

/// How to get into a state of a server session, and which commands succeed there; all others are refused.
struct SMTPState: Sendable, CustomTestStringConvertible {
    /// Commands that succeed together, whatever each service calls them.
    struct Commands: OptionSet {
        let rawValue: Int

        /// What is never out of place.
        static let free = Commands(rawValue: 1)
        static let hello = Commands(rawValue: 2)
        static let mail = Commands(rawValue: 4)
        static let recipient = Commands(rawValue: 8)
        static let data = Commands(rawValue: 16)
        static let chunk = Commands(rawValue: 32)
        static let startTLS = Commands(rawValue: 64)
        static let login = Commands(rawValue: 128)
        /// ETRN and ATRN of somebody who has logged in.
        static let turn = Commands(rawValue: 256)

        func words(_ service: SMTPService) -> Set<String> {
            let isCluster = service == .cluster
            let all: [(Commands, Set<String>)] = [
                (.free, ["RSET", "NOOP", "VRFY a", "HELP", "QUIT"]),
                (.hello, service.isLMTP ? ["LHLO c"] : ["EHLO c", "HELO c"]),
                (.mail, [isCluster ? "MAIL FROM:<a@b.c> XNAME=n" : "MAIL FROM:<a@b.c>"]),
                (
                    .recipient,
                    [
                        isCluster
                            ? "RCPT TO:<a@example.test> XMAILBOX=a@example.test" : "RCPT TO:<a@example.test>"
                    ]
                ),
                (.data, ["DATA"]), (.chunk, ["BDAT 0", "BDAT 0 LAST"]), (.startTLS, isCluster ? [] : ["STARTTLS"]),
                (.turn, service.isLMTP ? [] : ["ETRN example.org", "ATRN", "ATRN example.org"]),
                (.login, isCluster ? [] : ["AUTH PLAIN", "AUTH PLAIN AGEAYg=="]),
            ]
            return all.reduce(into: []) { if contains($1.0) { $0.formUnion($1.1) } }
        }
    }

    let name: String
    /// The lines that lead there: `#` is the service's own hello, `$` its MAIL, `%` its RCPT.
    let opening: String
    let succeeds: Commands
    let services: [SMTPService]
    let change: @Sendable (inout SMTPServerSettings) -> Void

    init(
        _ name: String, _ opening: String, _ succeeds: Commands, _ services: [SMTPService] = SMTPService.allCases,
        change: @escaping @Sendable (inout SMTPServerSettings) -> Void = { _ in }
    ) {
        self.name = name
        self.opening = opening
        self.succeeds = succeeds
        self.services = services
        self.change = change
    }

    var testDescription: String { name }

    func cases(_ commands: [String]) -> [(SMTPService, String)] {
        services.flatMap { service in commands.map { (service, $0) } }
    }

    func prepared(_ lines: String, _ service: SMTPService) -> String {
        let words = { (commands: Commands) in commands.words(service).sorted().first ?? "" }
        return lines.replacing("#", with: words(.hello)).replacing("$", with: words(.mail))
            .replacing("%", with: words(.recipient))
    }

    /// A session in this state, whose output is forgotten.
    func server(_ service: SMTPService) -> TestedServer {
        let server = TestedServer(service) { settings in
            if service != .cluster { settings.mechanisms = [.scramSHA256, .plain, .login] }
            settings.offersETRN = !service.isLMTP
            settings.offersATRN = !service.isLMTP
            change(&settings)
        }
        for line in prepared(opening, service).split(separator: "\r\n") { server.receive(line + "\r\n") }
        server.output = ""
        return server
    }

    /// One reply, and a good one just where the command belongs.
    func check(_ output: String, to command: String, _ service: SMTPService) {
        let replies = output.split(separator: "\r\n").filter { $0.dropFirst(3).first == " " }
        #expect(replies.count == 1, "\(service) \(name) \(command): \(output)")
        let succeeded = replies.first.map { $0.hasPrefix("2") || $0.hasPrefix("3") } ?? false
        #expect(
            succeeded == succeeds.words(service).contains(command), "\(service) \(name) \(command): \(output)")
    }
}
