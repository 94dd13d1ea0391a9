#define MTASTS_IMPLEMENTATION
#include "mtasts.h"
#include <stdio.h>

int main(void)
{
    static const char body[] =
        "version: STSv1\nmode: enforce\nmx: *.example.com\nmax_age: 604800\n";
    static const char *const mx[] = {"mx1.example.com", "mx.attacker.example"};
    mtasts_policy policy;
    mtasts_delivery delivery = {0};
    mtasts_plan plan;
    int i;

    if (mtasts_policy_parse(&policy, body, sizeof body - 1, 0, NULL) != MTASTS_OK)
        return 1;
    delivery.policy = &policy;
    for (i = 0; i < 2; i++) {
        mtasts_apply_plan(&plan, &delivery, mx[i], strlen(mx[i]));
        printf("%s: %s\n", mx[i],
               plan.use ? "require TLS and a certificate for this name"
                        : mtasts_reason_text((int)plan.reason));
    }
    return 0;
}
