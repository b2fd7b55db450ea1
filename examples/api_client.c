/* Has the switch run a command and prints its answer, raw; by default which version it is.

       cc -o api_client api_client.c -lzmq
       ./api_client [ENDPOINT [COMMAND [ARGS]]]

   Needs libzmq (Debian: libzmq3-dev). In ARGS " and \ have to be written as JSON has them: \" and \\. */

#include <stdio.h>
#include <string.h>
#include <zmq.h>

int main(int argc, char **argv)
{
    const char *endpoint = argc > 1 ? argv[1] : "tcp://127.0.0.1:5557", *command = argc > 2 ? argv[2] : "version";
    static char request[65536], answer[4 * 1024 * 1024];
    int patience = 15000, linger = 0, size = -1; /* a request that did not go out is not to go out later */
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_REQ);

    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience, sizeof patience);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    snprintf(request, sizeof request,
             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"api\",\"params\":{\"command\":\"%s\",\"args\":\"%s\"}}", command,
             argc > 3 ? argv[3] : "");
    if (zmq_connect(socket, endpoint) == 0 && zmq_send(socket, request, strlen(request), 0) >= 0)
        size = zmq_recv(socket, answer, sizeof answer, 0);
    if (size < 0)
        fprintf(stderr, "no answer from %s: %s\n", endpoint, zmq_strerror(zmq_errno()));
    else
        printf("%.*s\n", size < (int)sizeof answer ? size : (int)sizeof answer, answer);
    zmq_close(socket);
    zmq_ctx_term(context);
    return size < 0;
}
