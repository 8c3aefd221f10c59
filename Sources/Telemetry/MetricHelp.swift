/// What each metric means, for its HELP line, by the label that it is made with.
enum MetricHelp {
    static let texts = [
        // Frontends
        "smtp_connections": "Connections of SMTP, submission and LMTP clients",
        "qmtp_connections": "Connections of QMTP and QMQP clients",
        "pop3_connections": "Connections of POP3 clients",
        "pop3_logins": "POP3 sessions that logged in",
        "pop3_answered_ahead": "RETR and DELE commands that were answered with what a node had sent ahead",
        "login_failures": "Log-ins that were refused, by POP3 and by AUTH",
        "connections_refused": "Connections that were refused: too many, or not from an address that is served",
        "messages": "Verdicts on messages that were read whole, one for each recipient",
        "handoffs": "Copies that another node took in an owner's place",
        "message_octets": "Octets of messages that were read whole",
        "delivery_seconds": "Time from a message's end to its verdicts",
        // Storage nodes
        "lmtp_connections": "LMTP connections of frontends and nodes",
        "node_pop3_connections": "POP3 connections of frontends and nodes",
        "messages_stored": "Messages that were made durable, one for each mailbox",
        "messages_retrieved": "Messages that were read by POP3",
        "merges": "Mailboxes whose replicas differed and were merged",
        "messages_merged": "Messages that merges carried",
        "messages_scrubbed": "Messages that were read and compared with what their names promise",
        "damaged_copies": "Messages that were found damaged on this node's disk",
        "damaged_copies_replaced": "Damaged messages that another owner's copy replaced",
        "damaged_copies_left": "Damaged messages that no owner had a good copy of",
        "messages_relayed": "Messages that servers elsewhere took",
        "relay_deferrals": "Messages that servers elsewhere put off",
        "relay_refusals": "Messages that servers elsewhere refused",
        "bounces": "Senders who were told that their message could not be relayed",
        "store_errors": "Operations on the store that failed",
        "commit_seconds": "Time from a message's end to its durable copies on a node",
    ]
}
