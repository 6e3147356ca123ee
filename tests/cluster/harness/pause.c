// Keeps a pod's network namespace open: what every container runtime calls its sandbox.
#include <unistd.h>

int main(void) {
  for (;;) pause();
}
