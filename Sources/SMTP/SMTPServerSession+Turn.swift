import SASL

/// ETRN and ATRN: a client asks for mail that waits here (RFC 1985, RFC 2645).
extension SMTPServerSession {
    /// RFC 1985 §5: `ETRN [@|#]name`, whenever no transaction is under way.
    mutating func startQueue(_ arguments: UnsafeRawBufferPointer) -> Action? {
        guard settings.offersETRN else { return refuse(.notOffered) }
        if hello == nil { return refuse(.helloFirst) }
        if envelope != nil { return refuse(.notDuringMail) }
        if settings.requiresAuthentication, user == nil { return refuse(authenticationMissing) }
        guard let target = ETRNRequest.Target(arguments) else { return refuse(.badNode) }
        queueInQuestion = target
        phase = .awaitingQueue
        return .startQueue(ETRNRequest(target: target, user: user))
    }

    /// Answers `startQueue`.
    package mutating func queueStarted(_ answer: ETRNAnswer) {
        precondition(phase == .awaitingQueue, "ETRN in phase \(phase)")
        phase = .command
        guard let target = queueInQuestion else { return }
        queueInQuestion = nil
        let reply = SMTPReply(answer, for: target)
        if case .notAllowed = answer {
            _ = refuse(reply)
        } else {
            replies.append(reply)
        }
    }

    /// RFC 2645 §5.2.1: `ATRN [domain *("," domain)]`, from those only who have authenticated.
    mutating func askTurn(_ arguments: UnsafeRawBufferPointer) -> Action? {
        guard takesATRN else { return refuse(.notOffered) }
        guard let hello, hello.isExtended else { return refuse(.helloFirst) }
        if envelope != nil { return refuse(.notDuringMail) }
        guard let user else { return refuse(authenticationMissing) }
        guard let domains = ATRNRequest.domains(arguments) else { return refuse(.badTurn) }
        let request = ATRNRequest(domains: domains, user: user)
        turnInQuestion = request
        phase = .awaitingTurn
        return .askTurn(request)
    }

    /// Answers `askTurn`. If it is granted, `turn` comes next, unless the client did not wait for the answer.
    package mutating func turnAnswered(_ answer: ATRNAnswer) {
        precondition(phase == .awaitingTurn, "ATRN in phase \(phase)")
        phase = answer == .granted ? .turnGranted : .command
        switch answer {
        case .granted: break
        case .refused: _ = refuse(SMTPReply(answer))
        case .unable, .noMail: replies.append(SMTPReply(answer))
        }
    }

    /// Bytes that came before the reply were meant for the server that this no longer is: nothing of them may be taken
    /// for what the client says as a server.
    mutating func turn(_ unread: UnsafeRawBufferPointer, _ at: inout Int) -> Action {
        if at < unread.count {
            at = unread.count
            return end(with: .badPipelining)
        }
        if isDraining { return end(with: .draining) }
        guard let request = turnInQuestion else { preconditionFailure("a turn that nobody asked for") }
        turnInQuestion = nil
        replies.append(SMTPReply(.granted))
        phase = .turned
        return .turn(request)
    }

    /// A site has what is meant for it by other ways.
    var takesATRN: Bool { settings.offersATRN && user?.site == nil }

    /// The example of RFC 2645 §6 offers ATRN before the client has authenticated; where it cannot, there is none.
    var showsATRN: Bool { takesATRN && (user != nil || offersAuthentication) }

    var authenticationMissing: SMTPReply {
        offersAuthentication || settings.mechanisms.isEmpty ? .authenticateFirst : .startTLSFirst
    }
}
