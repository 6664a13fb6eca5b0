#include "send/pace.h"

void pace_set(struct pace *pace, double per_second, double burst)
{
	pace->interval = per_second > 0 ? (double)USEC_PER_SEC / per_second : 0;
	pace->burst = burst < 1 ? 1 : burst;
}

/* The moment from which one more message fits into the bucket. */
static double fits_at(const struct pace *pace)
{
	return pace->full_at - (pace->burst - 1) * pace->interval;
}

bool pace_take(struct pace *pace, usec_t now)
{
	if (pace->interval <= 0)
		return true;
	if (fits_at(pace) > (double)now)
		return false;
	if (pace->full_at < (double)now)
		pace->full_at = (double)now;
	pace->full_at += pace->interval;
	return true;
}

void pace_give_back(struct pace *pace)
{
	pace->full_at -= pace->interval;
}

usec_t pace_due(const struct pace *pace, usec_t now)
{
	double at = fits_at(pace);
	if (pace->interval <= 0 || at <= (double)now)
		return now;
	usec_t whole = (usec_t)at;
	return (double)whole < at ? whole + 1 : whole;
}
