import ArgumentParser

/// Accounts: addresses with a mailbox and a password.
struct AccountCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "account",
        abstract: "Show and change accounts: addresses with a mailbox and a password.",
        discussion: """
            Passwords are kept as crypt(3) hashes and SCRAM-SHA-256 keys. APOP and CRAM-MD5 need the password itself in \
            the directory, and so only accounts that ask for it with --apop have them.

              hauberk account add alice@example.test
              hauberk account passwd alice@example.test --generate
            """,
        subcommands: [
            AccountAdd.self, AccountList.self, AccountShow.self, AccountPassword.self, AccountDisable.self,
            AccountEnable.self, AccountRemove.self,
        ])
}
