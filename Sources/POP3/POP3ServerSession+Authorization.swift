import SASL

/// The AUTHORIZATION state (RFC 1939 §4): who the client is, and under which conditions.
extension POP3ServerSession {
    mutating func handleInAuthorization(_ command: POP3Command, isLast: Bool) -> Action {
        switch command {
        case .quit: return quit()
        case .capa: return capabilities(inTransaction: false)
        case .lang(let range): return chooseLanguage(range)
        case .malformed(let syntax): return refuse("syntax: \(syntax)")
        case .unknown: return refuse("unknown command")
        case .noop, .stat, .list, .uidl, .retr, .top, .dele, .rset, .last, .xgone, .xrelayed:
            return refuse("log in first")
        case .user, .pass, .apop, .auth, .stls, .utf8, .xopen, .xdigest, .xdrain, .xstatus, .xflush, .xpartition,
            .xrepair, .xsite, .xstreams:
            break
        }
        return settings.service == .node ? handleOnNode(command, isLast: isLast) : handleLogin(command, isLast: isLast)
    }

    private mutating func handleOnNode(_ command: POP3Command, isLast: Bool) -> Action {
        switch command {
        case .xopen(let request): return open(request)
        case .xdigest(let mailbox): return ask(.digest(mailbox))
        case .xdrain(let mailbox, let node): return ask(.drain(mailbox, node: node))
        case .xstatus(let site): return ask(.status(ofSite: site))
        case .xflush(let relay): return ask(.flush(relay: relay))
        case .xpartition(let partition, let digest): return ask(.listPartition(partition, unless: digest))
        case .xrepair(let scope): return ask(.repair(scope))
        case .xsite(let site, let order): return ask(.order(order, ofSite: site))
        case .xstreams: return beginStreams(isLast: isLast)
        default:
            return refuse(
                "a storage node takes XOPEN, XDIGEST, XDRAIN, XSTATUS, XFLUSH, XPART, XREPAIR, XSITE and XSTREAMS only")
        }
    }

    private mutating func handleLogin(_ command: POP3Command, isLast: Bool) -> Action {
        switch command {
        case .user(let name): takeUser(name)
        case .pass(let password): takePassword(password)
        case .apop(let name, let digest): takeDigest(name, digest)
        case .auth(let mechanism?, let response): authenticate(mechanism, initialResponse: response, isLast: isLast)
        case .auth(nil, _): listMechanisms()
        case .stls: startTLS(isLast: isLast)
        case .utf8: enableUTF8()
        default: refuse("unknown command")
        }
    }

    var takesPlaintext: Bool { isTLS || !settings.requiresTLSForPlaintext }

    private mutating func takeUser(_ name: String) -> Action {
        guard takesPlaintext else { return refusePlaintext() }
        user = name
        output.ok("send PASS")
        return .proceed
    }

    private mutating func takePassword(_ password: String) -> Action {
        guard takesPlaintext else { return refusePlaintext() }
        guard let name = user else { return refuse("send USER first") }
        user = nil
        awaited = .password
        return .authenticate(.password(user: name, password: password))
    }

    mutating func refusePlaintext() -> Action {
        refuse("a password is taken only under TLS")
    }

    private mutating func takeDigest(_ name: String, _ digest: [UInt8]) -> Action {
        guard settings.offersAPOP else { return refuse("APOP is not offered") }
        awaited = .password
        return .authenticate(.apop(user: name, challenge: timestamp, digest: digest))
    }

    /// RFC 6856 §2.1: from now on UTF-8 may stand in headers. Without it a message leaves as it came all the same, where
    /// the RFC would have a surrogate or a refusal: clients that keep no copy elsewhere would lose what it left out, and
    /// raw 8bit headers are older than the command.
    private mutating func enableUTF8() -> Action {
        utf8 = true
        output.ok("UTF8 enabled")
        return .proceed
    }

    /// RFC 2595 §4. What stands behind STLS was not sent under TLS: the connection ends, lest it be taken for that.
    private mutating func startTLS(isLast: Bool) -> Action {
        guard settings.offersStartTLS else { return refuse("STLS is not offered") }
        guard !isTLS else { return refuse("TLS is on already") }
        guard !utf8 else { return refuse("STLS may not follow UTF8 (RFC 6856 section 2.1)") }
        guard isLast else { return endForHaste("nothing may follow STLS before TLS") }
        output.ok("begin TLS")
        awaited = .tls
        return .startTLS
    }

    private mutating func beginStreams(isLast: Bool) -> Action {
        guard isLast else { return endForHaste("nothing may follow XSTREAMS before its answer") }
        return ask(.beginStreams)
    }

    /// What came too early would be taken for something else.
    private mutating func endForHaste(_ text: String) -> Action {
        output.error(text, code: nil)
        phase = .closed
        return .close
    }

    /// The connection is under TLS: what was learned before is forgotten (RFC 2595 §4).
    package mutating func tlsStarted() {
        guard answered(.tls) else { return }
        isTLS = true
        user = nil
        language = nil
    }

    private mutating func quit() -> Action {
        output.ok("\(settings.hostname) signing off")
        phase = .closed
        return .close
    }

    mutating func open(_ request: POP3OpenRequest) -> Action {
        awaited = .maildrop
        utf8 = request.utf8
        isLocal = settings.service == .node && request.isLocal
        return .openMaildrop(request)
    }

    /// On a frontend: the node's side stands. The client gets its +OK, and the node has the rest of the conversation.
    package mutating func maildropOpened(text: String = "maildrop ready") {
        guard answered(.maildrop) else { return }
        phase = .handedOver
        output.ok(text)
    }

    /// On a node: these are the messages, numbered from 1 in this order, for the whole session.
    package mutating func maildropOpened(_ entries: any MaildropEntries) {
        guard answered(.maildrop) else { return }
        phase = .transaction
        maildrop = Maildrop(entries)
        output.ok("\(maildrop.count) messages (\(maildrop.octets) octets)")
    }

    /// The maildrop cannot be opened now. The client may log in again.
    package mutating func maildropFailed(_ code: POP3ResponseCode, _ text: String) {
        guard answered(.maildrop) else { return }
        phase = .authorization
        refuseWithoutBlame(text, code: code)
    }

    package mutating func maildropFailed(temporary: Bool, _ text: String) {
        maildropFailed(temporary ? .systemTemporary : .systemPermanent, text)
    }

    /// Whether the answer still matters: after a time-out none does.
    mutating func answered(_ question: Awaited) -> Bool {
        if isTimedOut { return false }
        precondition(awaited == question, "answer to \(question), while \(String(describing: awaited)) is awaited")
        awaited = nil
        return true
    }
}
