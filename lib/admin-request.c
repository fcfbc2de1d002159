// SPDX-License-Identifier: LGPL-2.1-or-later
/* The netlink socket: one request and its replies, with the kernel's errno and sentence. */
#include <netlink/genl/ctrl.h>
#include <netlink/handlers.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "admin.h"

/* One request on its way. */
struct infini_exchange_state {
	struct infini_admin *admin;
	infini_reply_fn reply;
	void *arg;
	int err;
	bool done;
};

int infini_nl_errno(int err)
{
	switch (-err) {
	case NLE_SUCCESS:
		return 0;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_AF_NOSUPPORT:
	case NLE_PROTO_MISMATCH:
	case NLE_OPNOTSUPP:
		return -EPROTONOSUPPORT;
	case NLE_MSGSIZE:
		return -EMSGSIZE;
	case NLE_AGAIN:
	case NLE_DUMP_INTR:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

int infini_admin_open(struct infini_admin **admin)
{
	struct infini_admin *new = calloc(1, sizeof(*new));
	int on = 1;
	int err;

	if (!new)
		return -ENOMEM;
	new->sock = nl_socket_alloc();
	err = new->sock ? infini_nl_errno(genl_connect(new->sock)) : -ENOMEM;
	if (err)
		goto out;
	err = genl_ctrl_resolve(new->sock, INFINI_GENL_NAME);
	if (err < 0) {
		err = infini_nl_errno(err);
		goto out;
	}
	new->family = err;
	/* Without these an error has no sentence; kernels since 4.12 have both. */
	setsockopt(nl_socket_get_fd(new->sock), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(nl_socket_get_fd(new->sock), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	*admin = new;
	return 0;
out:
	infini_admin_close(new);
	return err;
}

void infini_admin_close(struct infini_admin *admin)
{
	if (!admin)
		return;
	nl_socket_free(admin->sock);
	free(admin);
}

const char *infini_admin_error(const struct infini_admin *admin)
{
	return admin->error;
}

struct nl_msg *infini_request_new(struct infini_admin *admin, int cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc();

	if (!msg)
		return NULL;
	if (genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, admin->family, 0, flags, cmd,
			INFINI_GENL_VERSION))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

int infini_request_name(struct nl_msg *msg, int name_attr, const char *name, int id_attr,
			uint32_t id)
{
	if (!name)
		return infini_nl_errno(nla_put_u32(msg, id_attr, id));
	if (strnlen(name, INFINI_NAME_MAX) == INFINI_NAME_MAX)
		return -ENAMETOOLONG;
	return infini_nl_errno(nla_put_string(msg, name_attr, name));
}

void infini_error_parse(struct infini_admin *admin, struct nlattr *attrs, int len)
{
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];

	if (len > 0 && !nla_parse(tb, NLMSGERR_ATTR_MAX, attrs, len, NULL))
		infini_attr_string(tb[NLMSGERR_ATTR_MSG], admin->error, sizeof(admin->error));
}

static int infini_on_valid(struct nl_msg *msg, void *arg)
{
	struct infini_exchange_state *state = arg;

	if (!state->err && state->reply)
		state->err = state->reply(nlmsg_hdr(msg), state->arg);
	return NL_OK;
}

/* What the module says about a request, behind as much of it as the kernel gave back. */
static void infini_ack_parse(struct infini_admin *admin, struct nlmsghdr *hdr)
{
	const struct nlmsgerr *error = nlmsg_data(hdr);
	int offset = sizeof(*error);

	if (!(hdr->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(hdr->nlmsg_flags & NLM_F_CAPPED))
		offset += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(error->msg);
	infini_error_parse(admin, nlmsg_attrdata(hdr, offset), nlmsg_attrlen(hdr, offset));
}

static int infini_on_ack(struct nl_msg *msg, void *arg)
{
	struct infini_exchange_state *state = arg;

	infini_ack_parse(state->admin, nlmsg_hdr(msg));
	state->done = true;
	return NL_STOP;
}

/* The end of a dump carries the error it ended with, if any, and its attributes. */
static int infini_on_finish(struct nl_msg *msg, void *arg)
{
	struct infini_exchange_state *state = arg;
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	int err;

	state->done = true;
	if (nlmsg_datalen(hdr) < (int)sizeof(err))
		return NL_STOP;
	memcpy(&err, nlmsg_data(hdr), sizeof(err));
	if (err >= 0)
		return NL_STOP;
	infini_error_parse(state->admin, nlmsg_attrdata(hdr, sizeof(err)),
			   nlmsg_attrlen(hdr, sizeof(err)));
	if (!state->err)
		state->err = err;
	return NL_STOP;
}

static int infini_on_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *arg)
{
	struct infini_exchange_state *state = arg;

	(void)from;
	infini_ack_parse(state->admin, (struct nlmsghdr *)((char *)error - NLMSG_HDRLEN));
	state->err = error->error;
	state->done = true;
	return NL_STOP;
}

int infini_request_run(struct infini_admin *admin, struct nl_msg *msg, infini_reply_fn reply,
		       void *arg)
{
	struct infini_exchange_state state = { .admin = admin, .reply = reply, .arg = arg };
	struct nl_cb *cb = nl_cb_alloc(NL_CB_CUSTOM);
	int err = cb ? nl_send_auto(admin->sock, msg) : -NLE_NOMEM;

	nlmsg_free(msg);
	admin->error[0] = '\0';
	if (err < 0)
		goto out;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, infini_on_valid, &state);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, infini_on_ack, &state);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, infini_on_finish, &state);
	nl_cb_err(cb, NL_CB_CUSTOM, infini_on_error, &state);
	err = 0;
	while (!state.done && err >= 0)
		err = nl_recvmsgs(admin->sock, cb);
out:
	nl_cb_put(cb);
	/* An error that a callback saw is exact; libnl's own is a class of errors. */
	return state.err || err >= 0 ? state.err : infini_nl_errno(err);
}
