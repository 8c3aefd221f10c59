import Testing

/// SMTP and POP3 as the tests speak them, one command at a time.
extension TestCluster {
    /// An SMTP connection that has been greeted.
    /// - Parameter before: what goes ahead of the conversation, such as a balancer's header.
    func smtp(_ port: Int = 2525, before: [UInt8] = []) async throws -> RawConnection {
        let connection = try RawConnection(port: self.port(port))
        try await connection.send(before)
        let greeting = try await connection.reply()
        try #require(greeting?.hasPrefix("220 ") == true, "\(greeting ?? "closed")")
        try #require(try await connection.command("EHLO client.example.org")?.hasPrefix("250 ") == true)
        return connection
    }

    /// Sends one message. Returns the reply that decided: that to RCPT if it was no 250, otherwise that to the text.
    func deliver(_ message: String, to account: Account, port: Int = 2525) async throws -> String {
        let connection = try await smtp(port)
        return try await connection.deliver(message, to: [account.address])
    }

    /// A POP3 connection that has logged in.
    func login(_ account: Account, port: Int = 1110) async throws -> RawConnection {
        let connection = try RawConnection(port: self.port(port))
        _ = try await connection.line()
        let reply = try await connection.login(account)
        try #require(reply.hasPrefix("+OK"), "\(reply)")
        return connection
    }

    /// Waits until a maildrop has at least so many messages, as `messages` gives them.
    func waitForMessages(_ account: Account, _ count: Int, port: Int = 1110) async throws -> [String] {
        var found: [String] = []
        for _ in 0..<600 {
            found = try await messages(account, port: port)
            if found.count >= count { return found }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Failed(description: "\(account.address) has got \(found.count) of \(count) messages")
    }

    /// What a login is answered.
    func loginReply(_ account: Account, port: Int = 1110) async throws -> String {
        let connection = try RawConnection(port: self.port(port))
        _ = try await connection.line()
        return try await connection.login(account)
    }

    /// All messages of a maildrop, whole.
    func messages(_ account: Account, port: Int = 1110) async throws -> [String] {
        let connection = try await login(account, port: port)
        var messages: [String] = []
        for number in 0..<(try await connection.listing("LIST").count) {
            messages.append(String(decoding: try await connection.retrieve(number + 1), as: UTF8.self))
        }
        try await connection.send("QUIT\r\n")
        _ = try await connection.line()
        return messages
    }
}

extension RawConnection {
    /// One message by DATA, from an envelope that the server may refuse at any step.
    func deliver(_ message: String, to recipients: [String]) async throws -> String {
        let sender = try await say("MAIL FROM:<sender@example.org>")
        guard sender.hasPrefix("250") else { return sender }
        for recipient in recipients {
            let reply = try await say("RCPT TO:<\(recipient)>")
            guard reply.hasPrefix("250") else { return reply }
        }
        let reply = try await say("DATA")
        guard reply.hasPrefix("354") else { return reply }
        return try await say(message.replacing("\r\n.", with: "\r\n..") + ".")
    }

    /// One SMTP command and the last line of its reply.
    func say(_ command: String) async throws -> String {
        guard let reply = try await self.command(command) else {
            throw Failed(description: "closed instead of an answer to \(command.prefix(80))")
        }
        return reply
    }

    func login(_ account: TestCluster.Account) async throws -> String {
        _ = try await ask("USER \(account.address)")
        return try await ask("PASS \(account.password)")
    }

    /// One POP3 command and the line that answers it.
    func ask(_ command: String) async throws -> String {
        try await send(command + "\r\n")
        guard let line = try await line() else {
            throw Failed(description: "closed instead of an answer to \(command)")
        }
        return line
    }

    /// The lines of LIST or UIDL.
    func listing(_ command: String) async throws -> [String] {
        let reply = try await ask(command)
        guard reply.hasPrefix("+OK") else { throw Failed(description: reply) }
        let text = String(decoding: try await multiline(), as: UTF8.self)
        return text.split(separator: "\r\n").map(String.init)
    }

    /// A message as POP3 gives it.
    func retrieve(_ number: Int) async throws -> [UInt8] {
        let reply = try await ask("RETR \(number)")
        guard reply.hasPrefix("+OK") else { throw Failed(description: reply) }
        return try await multiline()
    }
}
