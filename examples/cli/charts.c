/* Charts as SVG: axes in a grid of panels, lines and points on them. */
#include "charts.h"

#include <math.h>
#include <string.h>

enum { SIZE = 320, EDGE = 60, PANEL = SIZE + 2 * EDGE };

static void text(FILE *f, double x, double y, const char *how, const char *value)
{
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, how);
    for (; *value != 0; value++) {
        const unsigned char c = (unsigned char)*value;
        if (c == '&' || c == '<' || c == '>')
            fprintf(f, "&#%d;", c);
        else
            fputc(c < 32 || c == 127 ? ' ' : c, f);
    }
    fputs("</text>\n", f);
}

FILE *charts_open(const char *path, int columns, int rows)
{
    FILE *f = output_open(path);
    if (f != NULL)
        fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
                columns * PANEL, rows * PANEL);
    return f;
}

int charts_close(FILE *f, const char *path)
{
    fputs("</svg>\n", f);
    return output_close(f, path);
}

static double across(const panel *p, double x)
{
    return p->column * PANEL + EDGE + SIZE * (x - p->x_from) / (p->x_to - p->x_from);
}

static double down(const panel *p, double y)
{
    return p->row * PANEL + EDGE + SIZE - SIZE * (y - p->y_from) / (p->y_to - p->y_from);
}

void panel_axes(FILE *f, const panel *p, const char *title, const char *x_name, const char *y_name)
{
    const double left = p->column * PANEL + EDGE, top = p->row * PANEL + EDGE;
    char turned[96], number[32];
    fprintf(f, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#888\"/>\n", left, top, SIZE, SIZE);
    text(f, left + SIZE / 2.0, top - 12, "text-anchor=\"middle\" font-weight=\"bold\"", title);
    text(f, left + SIZE / 2.0, top + SIZE + 40, "text-anchor=\"middle\"", x_name);
    snprintf(turned, sizeof turned, "text-anchor=\"middle\" transform=\"rotate(-90 %.1f %.1f)\"", left - 42, top + SIZE / 2.0);
    text(f, left - 42, top + SIZE / 2.0, turned, y_name);
    for (int i = 0; i <= 4; i++) {
        const double x = p->x_from + (p->x_to - p->x_from) * i / 4, y = p->y_from + (p->y_to - p->y_from) * i / 4;
        snprintf(number, sizeof number, "%.3g", x);
        text(f, across(p, x), top + SIZE + 18, "text-anchor=\"middle\"", number);
        snprintf(number, sizeof number, "%.3g", y);
        text(f, left - 6, down(p, y) + 4, "text-anchor=\"end\"", number);
    }
}

void panel_diagonal(FILE *f, const panel *p)
{
    fprintf(f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#bbb\" stroke-dasharray=\"4\"/>\n", across(p, p->x_from), down(p, p->y_from), across(p, p->x_to), down(p, p->y_to));
}

void panel_line(FILE *f, const panel *p, const point *points, size_t n, const char *colour)
{
    fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour);
    for (size_t i = 0; i < n; i++)
        if (isfinite(points[i].x) && isfinite(points[i].y))
            fprintf(f, "%.1f,%.1f ", across(p, points[i].x), down(p, points[i].y));
    fputs("\"/>\n", f);
}

void panel_points(FILE *f, const panel *p, const point *points, size_t n, const char *colour)
{
    double all = 0;
    for (size_t i = 0; i < n; i++)
        all += points[i].weight;
    for (size_t i = 0; i < n; i++)
        if (isfinite(points[i].x) && isfinite(points[i].y))
            fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" fill=\"%s\"><title>%.0f rows</title></circle>\n", across(p, points[i].x), down(p, points[i].y),
                    2 + (all > 0 ? 8 * sqrt(points[i].weight / all) : 0), colour, points[i].weight);
}

void panel_note(FILE *f, const panel *p, int line, const char *colour, const char *note)
{
    char how[64];
    snprintf(how, sizeof how, "fill=\"%s\"", colour);
    text(f, p->column * PANEL + EDGE + 10, p->row * PANEL + EDGE + 18 + 16 * line, how, note);
}

/* ---- of reports ---- */

static size_t read_points(const ecrec_report *report, const char *prefix, const char *list, unsigned first, const char *x, const char *y, const char *weight, point *out, size_t most)
{
    size_t n = 0;
    for (; n < most; n++) {
        const char *const members[3] = { x, y, weight };
        double values[3] = { first + (double)n, 0, 1 };
        for (int i = 0; i < 3; i++) {
            char name[512];
            snprintf(name, sizeof name, "%s%s.%zu.%s", prefix, list, n + first, members[i] != NULL ? members[i] : "");
            if (members[i] != NULL && ecrec_report_number(report, name, &values[i], NULL) != ECREC_OK)
                return n;
        }
        out[n] = (point){ values[0], values[1], values[2] };
    }
    return n;
}

void chart_reliability(FILE *f, int column, int row, const char *title, const ecrec_report *report, const char *prefix)
{
    const panel p = { column, row, 0, 1, 0, 1 };
    point points[200];
    char name[512], note[64];
    double ece = NAN;
    const size_t n = read_points(report, prefix, "reliability", 0, "mean_score", "mean_label", "weight", points, sizeof points / sizeof *points);
    panel_axes(f, &p, title, "probability said", "share that came true");
    panel_diagonal(f, &p);
    panel_line(f, &p, points, n, "#1f6fb2");
    panel_points(f, &p, points, n, "#1f6fb2");
    snprintf(name, sizeof name, "%sece", prefix);
    (void)ecrec_report_number(report, name, &ece, NULL);
    snprintf(note, sizeof note, "ECE %.4f", ece);
    panel_note(f, &p, 0, "#1f6fb2", note);
}

void chart_curve(FILE *f, int column, int row, const char *title, const ecrec_report *report, const char *prefix, int precision)
{
    enum { MOST = 2000 };
    static point points[MOST];
    const panel p = { column, row, 0, 1, 0, 1 };
    char name[512], note[64];
    double area = NAN;
    const size_t n = precision ? read_points(report, prefix, "pr", 0, "recall", "precision", NULL, points, MOST) :
                                 read_points(report, prefix, "roc", 0, "false_positive_rate", "true_positive_rate", NULL, points, MOST);
    panel_axes(f, &p, title, precision ? "recall" : "false positive rate", precision ? "precision" : "true positive rate");
    if (!precision)
        panel_diagonal(f, &p);
    panel_line(f, &p, points, n, "#1f6fb2");
    snprintf(name, sizeof name, "%s%s", prefix, precision ? "pr_auc" : "auc");
    (void)ecrec_report_number(report, name, &area, NULL);
    snprintf(note, sizeof note, "area %.4f", area);
    panel_note(f, &p, precision ? 0 : 18, "#1f6fb2", note);
}

void chart_losses(FILE *f, int column, int row, const ecrec_report *report)
{
    enum { MOST = 10000 };
    static point learned[MOST], held[MOST];
    const size_t n = read_points(report, "", "history", 1, NULL, "loss", NULL, learned, MOST);
    const size_t m = read_points(report, "", "history", 1, NULL, "holdout_loss", NULL, held, MOST);
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < n + m; i++) {
        const double y = i < n ? learned[i].y : held[i - n].y;
        least = y < least ? y : least;
        most = y > most ? y : most;
    }
    if (n == 0 || !(most >= least))
        return;
    const double room = most > least ? 0.08 * (most - least) : 0.1;
    const panel p = { column, row, 1, n > 1 ? (double)n : 2, least - room, most + room };
    panel_axes(f, &p, "loss by epoch", "epoch", "nats");
    panel_line(f, &p, learned, n, "#1f6fb2");
    panel_points(f, &p, learned, n, "#1f6fb2");
    panel_note(f, &p, 0, "#1f6fb2", "as learned from");
    panel_line(f, &p, held, m, "#c4541d");
    panel_points(f, &p, held, m, "#c4541d");
    if (m != 0)
        panel_note(f, &p, 1, "#c4541d", "held out");
}
