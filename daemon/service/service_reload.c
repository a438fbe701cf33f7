/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service_reload: reads the configuration again and takes over what can change in a running daemon.
 * A configuration with a mistake changes nothing.
 */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/service/quotas.h"
#include "daemon/service/service.h"

static void tell_reloaded(struct service *service)
{
	struct watcher *watcher;

	TAILQ_FOREACH(watcher, &service->watchers, link) {
		if (watcher->reloaded)
			watcher->reloaded(watcher);
	}
}

/*
 * The most mistakes that are logged. A file that is no configuration at all has a mistake in each
 * line.
 */
#define MISTAKES_MAX 50

struct mistakes {
	config_complain_fn *complain;
	void  *arg;
	size_t nr;
};

static void pass_mistake(void *arg, const char *what)
{
	struct mistakes *mistakes = arg;

	if (mistakes->nr++ >= MISTAKES_MAX)
		return;
	log_error("%s", what);
	if (mistakes->complain)
		mistakes->complain(mistakes->arg, what);
}

/* Says which sizes of the configuration have no effect, to the log and in @text. */
static void say_other_sizes(struct service *service, const struct config *config, char *text,
			    size_t size)
{
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		const struct served *served = &service->arenas[i];
		char each[512];

		for (size_t k = 0; k < config->nr_arenas; k++) {
			if (strcmp(config->arenas[k].name, served->name) != 0 ||
			    !served_is_other_size(each, sizeof(each), served, &config->arenas[k]))
				continue;
			log_warning("%s", each);
			snprintf(text + strlen(text), size - strlen(text), "%s%s",
				 text[0] ? "; " : "", each);
		}
	}
}

static void log_reloaded(const struct service_kept *kept)
{
	if (kept->until_restart[0])
		log_warning(
			"the configuration was reloaded, but these change with a restart only: %s",
			kept->until_restart);
	else
		log_info("the configuration was reloaded");
}

int service_reload(struct service *service, struct service_kept *kept, config_complain_fn *complain,
		   void *arg, struct why *why)
{
	struct mistakes mistakes = { .complain = complain, .arg = arg };
	struct config next;
	int r;

	r = config_load_all(&next, service->sources, pass_mistake, &mistakes, why);
	service->reload_failed = r < 0 ? *why : (struct why){ "" };
	if (r < 0) {
		log_error("the configuration was not reloaded, all stays as it was: %zu mistake%s "
			  "in it; `pmemarenad --check-config` lists them",
			  mistakes.nr, mistakes.nr == 1 ? " is" : "s are");
		return r;
	}
	config_reload_diff(kept->until_restart, sizeof(kept->until_restart), &service->config,
			   &next);
	kept->for_good[0] = '\0';
	say_other_sizes(service, &next, kept->for_good, sizeof(kept->for_good));
	config_reload(&service->config, &next);
	config_fini(&next);
	log_set_level(service->config.daemon.log_level);
	scrubber_set_rate(service->scrubber, service->config.daemon.scrub_rate);
	r = quotas_apply(service);
	tell_reloaded(service);
	if (r < 0) {
		log_error("quotas: %s", strerror(-r));
		return why_set(why, r, "quotas: %s", strerror(-r));
	}
	log_reloaded(kept);
	service_look_again(service, true);
	return 0;
}
