/* SPDX-License-Identifier: Apache-2.0 */
#include "net_files.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define HOST_RESOLV "/etc/resolv.conf"
/* The servers behind systemd-resolved's own address. */
#define RESOLVED_RESOLV "/run/systemd/resolve/resolv.conf"
#define FILE_MAX ((size_t)1 << 20)

/* ---- hosts ---- */

static void put_member(struct str_buf *b, const struct member *m, const char *hostname)
{
	char ip[IP_TEXT];

	for (int f = 0; f < NET_FAMILIES; f++) {
		if (!m->net.ip[f].family)
			continue;
		str_buf_addf(b, "%s\t%s", ip_text(&m->net.ip[f], ip), m->id);
		if (hostname && !str_eq(hostname, m->id))
			str_buf_addf(b, " %s", hostname);
		str_buf_add(b, "\n");
	}
}

void net_hosts_text(struct str_buf *b, const struct members *l, const struct member *self,
		    const char *hostname)
{
	str_buf_add(b, "127.0.0.1\tlocalhost\n"
		       "::1\tlocalhost ip6-localhost ip6-loopback\n"
		       "ff02::1\tip6-allnodes\n"
		       "ff02::2\tip6-allrouters\n");
	if (self)
		put_member(b, self, self->hostname);
	else if (hostname && member_name_ok(hostname))
		str_buf_addf(b, "127.0.1.1\t%s\n", hostname);
	for (size_t i = 0; l && i < l->n; i++)
		if (&l->v[i] != self)
			put_member(b, &l->v[i], l->v[i].hostname);
}

/* ---- resolv.conf ---- */

/* The address of a nameserver line, or NULL. buf has room for one. */
static const char *server_of(const char *line, size_t len, char buf[IP_TEXT])
{
	static const char word[] = "nameserver";
	size_t n = sizeof(word) - 1, end;

	if (len <= n || strncmp(line, word, n) != 0 || (line[n] != ' ' && line[n] != '\t'))
		return NULL;
	while (n < len && (line[n] == ' ' || line[n] == '\t'))
		n++;
	for (end = n; end < len && !strchr(" \t\r#;", line[end]); end++)
		;
	if (end - n >= IP_TEXT)
		return "";
	memcpy(buf, line + n, end - n);
	buf[end - n] = '\0';
	return buf;
}

/* An address of the host's loopback, or one that means a link that the container does not have. */
static bool useless(const char *text)
{
	static const struct ip loopback6 = { .family = AF_INET6, .b = { [15] = 1 } };
	struct ip ip;

	if (ip_parse(text, &ip) < 0)
		return true;
	if (ip.family == AF_INET)
		return ip.b[0] == 127;
	return ip_cmp(&ip, &loopback6) == 0 || (ip.b[0] == 0xfe && (ip.b[1] & 0xc0) == 0x80);
}

void net_resolv_text(struct str_buf *b, const char *host, const struct spec_strings *dns,
		     size_t *servers)
{
	*servers = dns->n;
	for (size_t i = 0; i < dns->n; i++)
		str_buf_addf(b, "nameserver %s\n", dns->v[i]);
	while (*host) {
		size_t len = strcspn(host, "\n");
		char buf[IP_TEXT];
		const char *server = server_of(host, len, buf);

		if (!server && len && *host != '#' && *host != ';') {
			str_buf_addn(b, host, len);
			str_buf_add(b, "\n");
		} else if (server && !dns->n && !useless(server)) {
			str_buf_addf(b, "nameserver %s\n", server);
			(*servers)++;
		}
		host += len + (host[len] == '\n');
	}
}

/* ---- files ---- */

/* In place: the file that is mounted in the container must stay the same one. */
static int write_in_place(int dir, const char *name, const struct str_buf *b, bool make)
{
	AUTO_CLOSE int fd =
		openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | (make ? O_CREAT : 0), 0644);
	int r;

	if (b->failed)
		return -ENOMEM;
	if (fd < 0)
		return -errno;
	/* Whatever the caller's umask: it is read by all users of the container. */
	if (make && fchmod(fd, 0644) < 0)
		return -errno;
	r = io_write_full(fd, b->s ? b->s : "", b->len);
	return r == 0 && ftruncate(fd, (off_t)b->len) < 0 ? -errno : r;
}

int net_files_put(int dir, const char *name, const struct str_buf *b)
{
	return write_in_place(dir, name, b, true);
}

static int write_hosts(int dir, const char *id, const struct members *l, const char *hostname,
		       bool make)
{
	AUTO(str_buf_free) struct str_buf b = {};

	net_hosts_text(&b, l, l ? members_find(l, id) : NULL, hostname);
	return write_in_place(dir, NET_HOSTS, &b, make);
}

static void read_resolv(const char *path, char **text)
{
	if (io_read_file(AT_FDCWD, path, FILE_MAX, text, NULL) < 0)
		*text = NULL;
}

static int write_resolv(int dir, const char *id, const struct spec_strings *dns)
{
	AUTO(str_buf_free) struct str_buf b = {}, behind = {};
	AUTO_FREE char *host = NULL, *resolved = NULL;
	struct str_buf *use = &b;
	size_t servers;

	read_resolv(HOST_RESOLV, &host);
	net_resolv_text(&b, host ? host : "", dns, &servers);
	if (servers == 0) {
		read_resolv(RESOLVED_RESOLV, &resolved);
		net_resolv_text(&behind, resolved ? resolved : "", dns, &servers);
		if (servers > 0)
			use = &behind;
		else
			log_debug("%s: the host has no name server that a container can reach: "
				  "--dns gives it one",
				  id);
	}
	return write_in_place(dir, NET_RESOLV, use, true);
}

int net_files_write(int dir, const char *id, const struct members *l, const char *hostname,
		    const struct spec_strings *dns, struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};
	int r = write_hosts(dir, id, l, hostname, true);

	if (r < 0)
		return err_sys(e, -r, "%s: write its " NET_HOSTS, id);
	str_buf_addf(&b, "%s\n", hostname ? hostname : id);
	r = write_in_place(dir, NET_HOSTNAME, &b, true);
	if (r < 0)
		return err_sys(e, -r, "%s: write its " NET_HOSTNAME, id);
	r = write_resolv(dir, id, dns);
	return r < 0 ? err_sys(e, -r, "%s: write its " NET_RESOLV, id) : 0;
}

int net_files_host(int dir, struct err *e)
{
	AUTO(str_buf_free) struct str_buf b = {};
	AUTO_FREE char *host = NULL;
	int r;

	read_resolv(HOST_RESOLV, &host);
	str_buf_add(&b, host ? host : "");
	r = write_in_place(dir, NET_RESOLV, &b, true);
	return r < 0 ? err_sys(e, -r, "write " NET_RESOLV) : 0;
}

void net_files_refresh(const struct store *root, const struct members *l)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct member *m = &l->v[i];
		AUTO_CLOSE int dir =
			openat(root->fd, m->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int r = dir < 0 ? -errno : write_hosts(dir, m->id, l, NULL, false);

		if (r < 0 && r != -ENOENT)
			log_warn("hosts file of container %s: %s", m->id, strerrordesc_np(-r));
	}
}
