import POP3
import SASL

/// One dialogue with a POP3 server, taken from its file.
///
/// What there is, before the first line of the dialogue proper:
///
///     set service frontend | node | cluster    cluster is a frontend, and its node behind it after login
///     set account NAME PASSWORD
///     set hostname NAME, set nonce TEXT, set seconds NUMBER, set mechanisms [NAME…]
///     set errorsMax | loginFailuresMax NUMBER
///     set offersAPOP | offersStartTLS | startsWithTLS | requiresTLSForPlaintext
///     set whole                                the dialogue depends on which bytes come together
///     message UIDL                             its text follows, with LF ends as on disk
///     | TEXT
///
/// What the world does and what must have happened: see `POP3DialogueServer.world(_:_:)`.
struct POP3Dialogue {
    struct Message {
        let uidl: String
        var text: String
    }

    enum Event {
        case client([UInt8])
        case server([UInt8], isWhole: Bool)
        case world(String, [String])
    }

    struct Line {
        let number: Int
        let event: Event
    }

    private(set) var settings = POP3ServerSettings(hostname: "mail.example.test", service: .frontend)
    private(set) var nonce = "0123456789abcdefghij"
    private(set) var seconds: Int64 = 1000
    /// A node stands behind the frontend.
    private(set) var isCluster = false
    private(set) var isWhole = false
    private(set) var accounts: [String: String] = [:]
    private(set) var messages: [Message] = []
    private(set) var lines: [Line] = []

    init(_ file: ScenarioFile) throws {
        for step in file.steps {
            switch step.kind {
            case .client(let bytes): lines.append(Line(number: step.line, event: .client(bytes)))
            case .server(let bytes, let isWhole):
                lines.append(Line(number: step.line, event: .server(bytes, isWhole: isWhole)))
            case .directive("set", let text): try set(text, "\(file.name):\(step.line)")
            case .directive("message", let uidl): messages.append(Message(uidl: uidl, text: ""))
            case .directive("|", let text): try addText(text, "\(file.name):\(step.line)")
            case .directive(let word, let text):
                let words = text.split(separator: " ").map(String.init)
                lines.append(Line(number: step.line, event: .world(word, words)))
            }
        }
    }

    private mutating func addText(_ text: String, _ place: String) throws {
        guard !messages.isEmpty else { throw ScenarioFile.Malformed(description: "\(place): text of no message") }
        messages[messages.count - 1].text += text + "\n"
    }

    private mutating func set(_ text: String, _ place: String) throws {
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        let value = words.count > 1 ? words[1] : ""
        switch words[0] {
        case "service": try setService(value, place)
        case "account": try setAccount(value, place)
        case "hostname": settings.hostname = value
        case "nonce": nonce = value
        case "seconds": seconds = Int64(value) ?? 0
        case "mechanisms":
            settings.mechanisms = value.split(separator: " ").compactMap { SASLMechanism(rawValue: String($0)) }
        case "errorsMax": settings.limits.errorsMax = Int(value) ?? 0
        case "loginFailuresMax": settings.limits.loginFailuresMax = Int(value) ?? 0
        case "offersAPOP": settings.offersAPOP = true
        case "offersStartTLS": settings.offersStartTLS = true
        case "startsWithTLS": settings.startsWithTLS = true
        case "requiresTLSForPlaintext": settings.requiresTLSForPlaintext = true
        case "whole": isWhole = true
        default: throw ScenarioFile.Malformed(description: "\(place): nothing to set")
        }
    }

    private mutating func setService(_ name: String, _ place: String) throws {
        switch name {
        case "frontend": settings.service = .frontend
        case "node": settings.service = .node
        case "cluster": isCluster = true
        default: throw ScenarioFile.Malformed(description: "\(place): no such service")
        }
    }

    private mutating func setAccount(_ text: String, _ place: String) throws {
        let words = text.split(separator: " ", maxSplits: 1)
        guard words.count == 2, let password = ScenarioFile.unescaped(words[1]) else {
            throw ScenarioFile.Malformed(description: "\(place): an account has a name and a password")
        }
        accounts[String(words[0])] = String(decoding: password, as: UTF8.self)
    }
}
