import ArgumentParser

/// Which node has which mailbox.
struct RingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ring",
        abstract: "Show the ring, and what a change of the storage nodes would move.",
        discussion: """
            A mailbox's name gives its partition for ever; the ring says which nodes own the partition.

              hauberk ring show
              hauberk ring plan --add store-4
            """,
        subcommands: [RingShow.self, RingPlanCommand.self, RingSettle.self])
}
