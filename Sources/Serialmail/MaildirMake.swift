import Maildirs

/// `maildirmake`: makes a Maildir.
struct MaildirMake: Program {
    static let name = "maildirmake"
    static let abstract = "Makes a Maildir."
    static let usage = "name"

    let context: ProgramContext

    init(_ context: ProgramContext) { self.context = context }

    func run() throws(ProgramExit) -> Int32 {
        guard let path = context.arguments.first else { throw Self.usageExit }
        do throws(MaildirError) {
            try Maildir.make(context.resolved(path))
        } catch {
            throw Self.fatal("\(error)")
        }
        return 0
    }
}
