import Mail

/// From the greeting to the first transaction: EHLO, STARTTLS, AUTH.
extension SMTPClientSession {
    mutating func sayHello() {
        phase = .extendedHello
        send("\(settings.mode == .lmtp ? "LHLO" : "EHLO") \(settings.clientName)")
    }

    mutating func takeIntroduction(_ reply: ParsedReply, hasMore: Bool) {
        switch phase {
        case .extendedHello where reply.isPositive:
            readCapabilities(reply)
            secure()
        case .extendedHello where settings.mode == .smtp && reply.code / 100 == 5:
            // RFC 5321 §3.2: servers without extensions refuse EHLO.
            phase = .plainHello
            send("HELO \(settings.clientName)")
        case .plainHello where reply.isPositive:
            secure()
        case .startTLS where reply.code == 220:
            // CVE-2011-0411: replies sent in plain must not be taken for replies under TLS.
            if hasMore { return close(Reason(451, "4.7.0", "server spoke before TLS")) }
            phase = .awaitingTLS
            events.append(.startTLS)
        case .startTLS where settings.startTLS == .ifOffered:
            authenticate()
        case .authentication:
            takeAuthenticationReply(reply)
        default:
            close(reply.reason)
        }
    }

    private mutating func readCapabilities(_ reply: ParsedReply) {
        // The first line is the server's name and greeting.
        for line in String(decoding: reply.text, as: UTF8.self).split(separator: "\n").dropFirst() {
            capabilities.read(line)
        }
    }

    private mutating func secure() {
        if isTLS || settings.startTLS == .never { return authenticate() }
        if capabilities.startTLS {
            phase = .startTLS
            send("STARTTLS")
        } else if settings.startTLS == .required {
            close(Reason(451, "4.7.0", "server does not offer STARTTLS"))
        } else {
            authenticate()
        }
    }

    mutating func becomeReady() {
        phase = .ready
        events.append(.ready(capabilities))
        fill()
    }
}
