"""The gateway: the one process through which workers reach the network, and reach Apple and nobody else.

Workers have no network of their own (systemd/station-worker@.service). They ask here for a tunnel, over a unix socket,
in the words of HTTP (CONNECT, RFC 9110 §9.3.6):

    asking      what is asked for, and what is answered; a head is bounded
    places      where a tunnel may lead: what `model.job.Reach` names, and nothing else
    addresses   names become addresses here; one of Apple's is never in this network
    hello       what is said first in a tunnel: TLS, to the very host it leads to
    tunnels     the service: bounded in number, in memory and in time

**Who verifies TLS.** What the station itself asks Apple stays encrypted from the worker to Apple: the worker checks the
certificate (adapters.gateway and requests, with certifi's authorities), and the gateway sees that nothing but TLS under
that host's name goes out. So answers of Apple's can be neither read nor changed here, and a worker that a phone has got
hold of still reaches only the addresses that Apple's names have on the internet. FDR is the phone's own TLS with Apple,
which nobody here can look into: the gateway sees that it is TLS, and to whom.

It has no other knowledge: no job, no phone, no file but its socket.
"""
