//! Faults of the end of a connection.

use super::{Expectation, Fault, rfc};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "fin-lost-1",
        host: 70,
        title: "the first FIN is lost, each way",
        rules: &["drop in FIN #1", "drop out FIN #1"],
        happens: "The first FIN that the client sends is lost, and so is the first of ours.",
        client: "Its TCP retransmits its FIN. A client that waits for ours waits a second longer.",
        source: rfc(9293, "3.6"),
        expected: Expectation::answers(5),
    },
    Fault {
        name: "fin-never",
        host: 71,
        title: "the server never closes",
        rules: &["set close=never"],
        happens: "The client's FIN is acknowledged, but ours never follows: our end stays in CLOSE-WAIT, like a server \
                  that forgets to close.",
        client: "It knows from the announced length where the answer ends, and does not wait for FIN. Its kernel leaves \
                 FIN-WAIT-2 after a while.",
        source: rfc(9293, "3.6"),
        expected: Expectation::answers(3),
    },
    Fault {
        name: "fin-ack-lost",
        host: 72,
        title: "the ACK of the client's FIN is lost",
        rules: &[
            "drop out ACK while CLOSE-WAIT times 1",
            "drop out FIN while LAST-ACK times 1",
            "drop out ACK while TIME-WAIT times 1",
        ],
        happens: "The first segment that acknowledges the client's FIN is lost, and so is our own FIN if it carries the \
                  same ACK.",
        client: "Its TCP retransmits its FIN.",
        source: rfc(9293, "3.10.7.4"),
        expected: Expectation::answers(5),
    },
    Fault {
        name: "fin-delayed-5s",
        host: 73,
        title: "our FIN takes five seconds",
        rules: &["delay 5s out FIN"],
        happens: "Every FIN of ours arrives five seconds late.",
        client: "It does not wait for FIN if it knows that the answer is complete.",
        source: rfc(9293, "3.6"),
        expected: Expectation::answers(10),
    },
    Fault {
        name: "close-first",
        host: 74,
        title: "the server closes first, and for good",
        rules: &[
            "set close=with-data",
            "reset in data while FIN-WAIT-1",
            "reset in data while FIN-WAIT-2",
        ],
        happens: "Our end closes with the first of its answer: FIN rides on its last segment. Data that comes after that is \
                  answered with RST, as by a program that has closed its socket.",
        client: "It takes the answer, closes too, and sends its next request over a new connection.",
        source: rfc(9293, "3.6.1"),
        expected: Expectation::answers(3),
    },
    Fault {
        name: "close-before-reply",
        host: 75,
        title: "FIN instead of an answer",
        rules: &["set ack-delay=0s close=at-once", "delay 100ms out FIN"],
        happens: "Our end closes right after the handshake; its FIN arrives a tenth of a second late, so the client has sent its \
                  request by then. What the client sends is acknowledged and discarded.",
        client: "It reports that there was no answer. It may try again, as it got nothing.",
        source: rfc(9293, "3.6"),
        expected: Expectation::fails(3),
    },
    Fault {
        name: "rst-instead-of-fin",
        host: 76,
        title: "the server closes with RST instead of FIN",
        rules: &["set close=reset"],
        happens: "Our end sends its answer, then RST instead of FIN.",
        client: "It succeeds if it has the whole answer. If only FIN marks the end of the answer, it reports that the \
                 connection was reset.",
        source: rfc(9293, "3.5.3"),
        expected: Expectation::either(5),
    },
    Fault {
        name: "simultaneous-close",
        host: 77,
        title: "both ends close at the same time",
        rules: &["set close=first", "hold out FIN #1 until in FIN"],
        happens: "Our FIN follows the answer and is held until the client's is under way, so that they cross: both ends \
                  go through CLOSING. A client that waits for our FIN gets it when we retransmit it, a second later.",
        client: "It closes when it has the answer. Its TCP goes from FIN-WAIT-1 through CLOSING to TIME-WAIT.",
        source: rfc(9293, "3.6"),
        expected: Expectation::answers(3),
    },
    Fault {
        name: "half-close",
        host: 78,
        title: "the server half-closes and still receives",
        rules: &["set close=with-data"],
        happens: "Our end closes with the first part of its answer: the FIN is in its last segment. It goes on reading: what \
                  the client sends is acknowledged as long as it likes.",
        client: "It takes the answer and closes too. It sends no second request, as no answer can come.",
        source: rfc(9293, "3.6.1"),
        expected: Expectation::answers(3),
    },
    Fault {
        name: "time-wait-0",
        host: 79,
        title: "the server skips TIME-WAIT",
        rules: &["set time-wait=0s close=with-data"],
        happens: "Our end closes first, and forgets the connection with the last ACK. What arrives later, such as a \
                  retransmitted FIN, is answered with RST.",
        client: "It notices nothing, unless its last segments are lost.",
        source: rfc(9293, "3.6.1"),
        expected: Expectation::answers(3),
    },
];
