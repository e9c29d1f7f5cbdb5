/* Charts as SVG, panels in a grid. */
#ifndef ECREC_CHARTS_H
#define ECREC_CHARTS_H

#include "tool.h"

typedef struct panel { int column, row; double x_from, x_to, y_from, y_to; } panel;
typedef struct point { double x, y, weight; } point;

FILE *charts_open(const char *path, int columns, int rows); /* NULL: told */
int charts_close(FILE *f, const char *path);
void panel_axes(FILE *f, const panel *p, const char *title, const char *x_name, const char *y_name);
void panel_diagonal(FILE *f, const panel *p);
void panel_line(FILE *f, const panel *p, const point *points, size_t n, const char *colour); /* points that are not finite are left out */
void panel_points(FILE *f, const panel *p, const point *points, size_t n, const char *colour);
void panel_note(FILE *f, const panel *p, int line, const char *colour, const char *note);

/* What reports hold behind `prefix` ("" or "labels.click."). */
void chart_reliability(FILE *f, int column, int row, const char *title, const ecrec_report *report, const char *prefix);
void chart_curve(FILE *f, int column, int row, const char *title, const ecrec_report *report, const char *prefix, int precision); /* else ROC */
void chart_losses(FILE *f, int column, int row, const ecrec_report *report); /* "history" of a fit */

#endif
