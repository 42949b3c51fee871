#define _GNU_SOURCE
#include "measure.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_LATENCIES = 4 << 20 };

static float latencies[MAX_LATENCIES];
static size_t count;
static bool sorted;

double cpu_seconds(int pid) {
  char path[320];
  double total = 0;
  if (!pid)
    return 0;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *tasks = opendir(path);
  if (!tasks)
    return 0;
  for (struct dirent *task; (task = readdir(tasks));) {
    unsigned long long ns;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", pid, task->d_name);
    FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
    if (!file)
      continue;
    if (fscanf(file, "%llu", &ns) == 1)
      total += (double)ns / 1e9;
    fclose(file);
  }
  closedir(tasks);
  return total;
}

void add_latency(uint64_t ns) {
  if (count < MAX_LATENCIES)
    latencies[count++] = (float)ns / 1e3f;
  sorted = false;
}

static int by_size(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

double latency_us(double quantile) {
  if (!count)
    return 0;
  if (!sorted)
    qsort(latencies, count, sizeof *latencies, by_size);
  sorted = true;
  return latencies[(size_t)(quantile * (double)(count - 1))];
}
